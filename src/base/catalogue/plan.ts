import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { quoteName } from './file-entry.js'
import { unsupportedReport } from './watch.js'

/** An output writes another dtype than a step casts tensors to. A warning: the output decides. */
export const castOverridden = (
  at: Place,
  output: string,
  dtype: string,
  count: number,
  cast: string,
  castAt: Place,
): Diagnostic =>
  entry(
    'cast-overridden',
    `\`dtype: ${dtype}\` of output \`${output}\` overrides \`model.cast\`, which casts ${count} ${count === 1 ? 'tensor' : 'tensors'} to ${cast}`,
    {
      at,
      severity: 'warning',
      related: castAt.type === 'option' ? [] : [{ at: castAt, message: 'cast here' }],
      help: 'remove `dtype` from the output to write what the step says, or remove the step',
    },
  )

/** A difference would be written as if it were a model. */
export const deltaOutput = (name: string, at: Place): Diagnostic =>
  entry('delta-output', `\`${name}\` is a difference of two models, not a model`, {
    at,
    help: 'add it to a model with `model.add`, or write `delta: true` on the output to save the difference itself',
  })

/** An output of a mask asks for a dtype. */
export const dtypeOfMask = (name: string, at: Place): Diagnostic =>
  entry('dtype-of-mask', `\`${name}\` is a mask, which is written as BOOL`, {
    at,
    help: 'remove `dtype` from this output',
  })

/** `gradient` for a model of unknown architecture. */
export const gradientNeedsArchitecture = (at: Place): Diagnostic =>
  entry(
    'gradient-needs-architecture',
    '`gradient` needs the order of the layers, but smelt does not know the architecture of this model',
    {
      at,
      help: 'write a rule for each layer instead; `smelt inspect` shows their names',
    },
  )

/** An input is not the file that the recipe pins. */
export const pinMismatch = (path: string, expected: string, found: string, at: Place): Diagnostic =>
  entry('pin-mismatch', `${path} has sha256 ${found}, but the recipe pins ${expected}`, {
    at,
    help: 'use the file that was pinned, or change `sha256` if this one is right',
  })

/** A pin on something that is not one file. */
export const pinOfShards = (path: string, at: Place): Diagnostic =>
  entry('pin-of-shards', `${path} is a sharded model, but \`sha256\` pins a single file`, {
    at,
    help: 'remove `sha256`',
  })

/** An output would overwrite an input. */
export const outputIsInput = (path: string, model: string, at: Place): Diagnostic =>
  entry('output-is-input', `${path} is also read, as model \`${model}\``, {
    at,
    help: 'write to another path: a merge never changes its inputs',
  })

/** An output would overwrite the recipe. */
export const outputIsRecipe = (path: string, at: Place): Diagnostic =>
  entry('output-is-recipe', `${path} is this recipe itself`, {
    at,
    help: 'write to another path, such as `build/merged.safetensors`',
  })

/** A report with an unsupported extension. */
export const reportEnding = (path: string, endings: readonly string[], at: Place): Diagnostic =>
  entry('report-ending', unsupportedReport(path), {
    at,
    help: `end the path in ${endings
      .map((e) => `\`.${e}\``)
      .join(', ')
      .replace(/, ([^,]*)$/, ' or $1')}`,
  })

/** An output of a report has a key that applies only to tensors. */
export const reportOption = (name: string, key: string, at: Place): Diagnostic =>
  entry('report-option', `\`${key}\` does not apply to \`${name}\`, which is a report`, {
    at,
    help: `remove \`${key}\` from this output`,
  })

/**
 * Another recipe has an output of the same path, which its lock says if one is given. A warning: nothing is wrong with
 * either recipe.
 */
export const outputOfOther = (path: string, recipe: string, at: Place, lock?: string): Diagnostic =>
  entry(
    'output-of-other',
    `${path} is also an output of the recipe ${quoteName(recipe)}: whichever is built last replaces the other`,
    {
      at,
      severity: 'warning',
      help: `give one of the two another path, or ${lock === undefined ? 'build only one of them' : `delete ${quoteName(lock)} if that recipe is gone`}`,
    },
  )

/** True for the warning that another recipe has an output of the same path. */
export const tellsOfOther = ({ code }: Diagnostic): boolean => code === 'output-of-other'

/** Two outputs have the same path. */
export const outputTwice = (path: string, first: string, at: Place, firstAt: Place): Diagnostic =>
  entry('output-twice', `${path} is also written by ${first}`, {
    at,
    related: firstAt.type === 'option' ? [] : [{ at: firstAt, message: 'the other one' }],
    help: 'give each file a path of its own',
  })

/** Two lists of numbers by block, where only one can apply. */
export const twoBlockLists = ([first, second]: readonly [string, string], at: Place): Diagnostic =>
  entry('two-block-lists', `\`${first}\` and \`${second}\` both give every block a number`, {
    at,
    help: 'remove one of the two, or write single blocks as rules such as `block:mid`',
  })

/** A difference where a model is needed, or the other way round. */
export const wrongSpace = (label: string, found: 'weights' | 'delta', at: Place): Diagnostic =>
  found === 'delta'
    ? entry('wrong-space', `expected a model; ${label} is a difference of two models`, {
        at,
        help: 'add it to a model with `model.add` first',
      })
    : entry('wrong-space', `expected a difference of two models; ${label} is a model`, {
        at,
        help: 'subtract a base from it with `model.subtract` first',
      })

/** Advice for one number that a decimal comma split in two. */
const decimalOf = (settings: readonly string[]): string => {
  const [first, second] = settings.map((label) => /^([\w-]+)=(\d+)$/.exec(label))
  return settings.length !== 2 || first === null || first === undefined || second === null || second === undefined
    ? ''
    : `write \`--set ${first[1]}=${first[2]}.${second[2]}\` if one number was meant; for both, `
}

/** The first of some settings; those of several params have commas of their own. */
const listSettings = (labels: readonly string[]): string =>
  [...labels.slice(0, 3), ...(labels.length > 3 ? ['…'] : [])].join(labels.some((l) => l.includes(',')) ? '; ' : ', ')

/** Several settings of the params would write an output to the same path; `better` is one that would do. */
export const outputOfSettings = (
  { path, labels, better }: { readonly path: string; readonly labels: readonly string[]; readonly better: string },
  at: Place,
): Diagnostic =>
  entry('output-of-settings', `${labels.length} settings (${listSettings(labels)}) would all write ${path}`, {
    at,
    help: `${decimalOf(labels)}put the value into the path, for example \`${better}\``,
  })

/** A step whose result nothing uses. */
export const unusedStep = (name: string, at: Place): Diagnostic =>
  entry('unused-step', `step \`${name}\` is not used, so it is not run`, {
    at,
    severity: 'warning',
    help: 'use it in another step or an output, or remove it',
  })
