import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { listNames, quoteName } from './file-entry.js'

const EXAMPLE = '`"encoder": first_stage_model.encoder`'

/** A rule gives a tensor an empty name, or one with an empty part. */
export const badNewName = (old: string, name: string, at?: Place): Diagnostic =>
  entry(
    'bad-new-name',
    name === ''
      ? `${quoteName(old)} would have an empty name`
      : `${quoteName(old)} would be called ${quoteName(name)}, which has an empty part between its dots`,
    { at, help: 'write a name without dots at its ends, or make the pattern longer or shorter' },
  )

/** The advice for a pattern that matches further inside of names. */
export const deeper = (pattern: string): string =>
  `A pattern begins where the names do: did you mean ${quoteName(pattern)}?`

/** A rule whose pattern begins with `!`. */
export const negatedRename = (pattern: string, at?: Place): Diagnostic =>
  entry('negated-rename', `\`${pattern}\` says which names are left alone, which is no rule for a new one`, {
    at,
    help: `write a pattern of the names to change, such as ${EXAMPLE}`,
  })

/** Two tensors with the same new name. */
export const renamedAlike = (name: string, first: string, second: string, at?: Place): Diagnostic =>
  entry('renamed-alike', `${quoteName(first)} and ${quoteName(second)} would both be called ${quoteName(name)}`, {
    at,
    help: 'make the pattern narrower, or leave one of the two out with `model.select` first',
  })

/** A rule that selects by what a tensor is, rather than by its name. */
export const renameByPart = (pattern: string, scheme: string, at?: Place): Diagnostic =>
  entry('rename-by-part', `\`${pattern}\` selects by ${scheme}; a new name is made from the parts of the old one`, {
    at,
    help: `write a pattern of names, such as ${EXAMPLE}; \`smelt inspect\` lists them`,
  })

/** A rule that matches no name. */
export const renamesNothing = (
  pattern: string,
  suggestion: string | undefined,
  tops: readonly string[],
  at?: Place,
): Diagnostic =>
  entry('renames-nothing', `\`${pattern}\` matches no name`, {
    at,
    help: `${suggestion ?? (tops.length === 0 ? 'There are no tensors to rename.' : `At this point the names begin with ${listNames(tops)}; \`smelt inspect\` lists them.`)} Rules apply in order, each to the names as those before it left them.`,
  })

/** A step without anything that says what the new names are. */
export const renamesWithoutRules = (at: Place): Diagnostic =>
  entry('renames-without-rules', 'expected at least one of `remove_root`, `rules` and `add_root`', {
    at,
    help: `write \`add_root: first_stage_model\`, or rules such as \`rules: { ${EXAMPLE.slice(1, -1)} }\``,
  })

/** A weight that is stored with scales gets another last part, by which programs find the scales. */
export const scaledRenamed = (old: string, name: string, at: Place): Diagnostic =>
  entry(
    'scaled-renamed',
    `${quoteName(old)} is stored with scales, which programs find by the end of its name, and would be called ${quoteName(name)}`,
    {
      at,
      help: 'keep the last part of its name; what comes before may change',
    },
  )

/** A new name refers to a wildcard that its pattern does not have. */
export const unknownCapture = (reference: string, pattern: string, wildcards: number, at?: Place): Diagnostic =>
  entry(
    'unknown-capture',
    `\`${reference}\` stands for a wildcard that \`${pattern}\` does not have: it has ${wildcards === 0 ? 'none' : wildcards}`,
    {
      at,
      help:
        wildcards === 0
          ? 'put `*` or `**` into the pattern where the name may differ'
          : `use ${wildcards === 1 ? '`$1`' : `\`$1\` to \`$${wildcards}\``}; each \`*\`, \`**\`, \`?\`, \`[…]\` and \`@(…)\` counts, from the left`,
    },
  )
