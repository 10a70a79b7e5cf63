import { basename } from 'node:path'
import { cardSays } from '../base/catalogue/model-card.js'
import { licencesDiffer } from '../base/catalogue/model-folders.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { readForeign } from '../document/foreign.js'
import { orderSteps } from '../recipe/link.js'
import type { Recipe } from '../recipe/recipe.js'
import { usesOf } from '../recipe/step.js'

/** What a model card tells. */
export interface CardOf {
  readonly recipe: Recipe
  /** The step or input that the output holds. */
  readonly from: string
  /** The inputs it is made of: their names, paths, ids on a hub, and the texts of their cards. */
  readonly inputs: readonly {
    readonly name: string
    readonly path: string
    readonly id: string | undefined
    readonly card: string | undefined
  }[]
  /** True where a program can load the folder with its config. */
  readonly loadable: boolean
  readonly at: Place
}

/** The keys of a card that name its licence. */
const LICENCE = ['license', 'license_name', 'license_link'] as const

/** What the front matter of a card says of its licence, by key; undefined where it says none. */
const licenceOf = (card: string): ReadonlyMap<string, string> | undefined => {
  const [, front] = /^---\r?\n([\s\S]*?)\r?\n---/.exec(card) ?? []
  const root = front === undefined ? undefined : readForeign(front).documents[0]?.value
  if (!(root instanceof Map)) return undefined
  const found = LICENCE.flatMap((key) => {
    const value = (root.get(key) as { readonly value: unknown } | undefined)?.value
    return typeof value === 'string' ? [[key, value] as const] : []
  })
  return found.length === 0 ? undefined : new Map(found)
}

/** A string in YAML. */
const scalar = (text: string): string =>
  /^[\w][\w./-]*$/.test(text) && !/^[\d.]+$/.test(text) ? text : JSON.stringify(text)

/** A cell of a table in Markdown. */
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ')

const table = (head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] =>
  [head, head.map(() => '---'), ...rows.map((row) => row.map(cell))].map((row) => `| ${row.join(' | ')} |`)

/** Fences that nothing in a text closes. */
const fenceFor = (text: string): string => {
  let fence = '```'
  while (text.includes(fence)) fence += '`'
  return fence
}

/**
 * The model card of an output, in Markdown with front matter that hubs read. It depends on the recipe and the inputs'
 * cards alone: not on time, machine or absolute paths.
 */
export const modelCard = ({
  recipe,
  from,
  inputs,
  loadable,
  at,
}: CardOf): { readonly text: string; readonly warnings: readonly Diagnostic[] } => {
  const licences = inputs.map(({ card }) => (card === undefined ? undefined : licenceOf(card)))
  const distinct = new Map(licences.flatMap((l) => (l === undefined ? [] : [[JSON.stringify([...l]), l] as const])))
  const [licence] = licences.includes(undefined) || distinct.size !== 1 ? [] : distinct.values()
  const ids = [...new Set(inputs.flatMap(({ id }) => id ?? []))]
  const steps = orderSteps(recipe.steps, [from])
  const params = Object.entries(recipe.params)
  const { text } = recipe.source
  const fence = fenceFor(text)
  const lines = [
    '---',
    ...(ids.length === 0 ? [] : ['base_model:', ...ids.map((id) => `- ${scalar(id)}`)]),
    ...(loadable ? ['library_name: transformers'] : []),
    ...[...(licence ?? [])].map(([key, value]) => `${key}: ${scalar(value)}`),
    'tags:',
    '- merge',
    '- smelt',
    '---',
    '',
    `# ${cell(recipe.name)}`,
    '',
    cardSays.merged,
    '',
    `## ${cardSays.models}`,
    '',
    ...table(
      ['name', 'model'],
      // Only the last part of a path is published.
      inputs.map(({ name, path, id }) => [`\`${name}\``, id ?? `\`${basename(path)}\``]),
    ),
    '',
    ...(steps.length === 0
      ? []
      : [
          `## ${cardSays.steps}`,
          '',
          ...table(
            ['step', 'operator', 'from'],
            steps.map((step) => [
              `\`${step.name}\``,
              `\`${step.operator.id}\``,
              [...new Set(usesOf(step).map((use) => `\`${use.name}\``))].join(', '),
            ]),
          ),
          '',
        ]),
    `## ${cardSays.recipe}`,
    '',
    ...(params.length === 0
      ? []
      : [`${cardSays.settings} ${params.map(([name, value]) => `\`${name}: ${value}\``).join(', ')}.`, '']),
    `${fence}yaml`,
    text.trimEnd(),
    fence,
    '',
  ]
  const names = [...new Set([...distinct.values()].map((l) => l.get('license_name') ?? l.get('license') ?? ''))]
  return { text: lines.join('\n'), warnings: distinct.size > 1 ? [licencesDiffer(at, names)] : [] }
}
