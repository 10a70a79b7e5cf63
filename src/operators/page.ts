import { groupAliases } from './aliases.js'
import type { Alias, Example } from './definition.js'
import type { Operator } from './operator.js'
import type { InputSpec, ParamSpec } from './params.js'
import { explainShared, explainWords, sharedKeys } from './schema.js'

const plainNumber = (value: number): string => String(Number(value.toPrecision(6)))

/** A value as YAML in one line. */
const flow = (value: unknown): string => {
  if (typeof value === 'number') return plainNumber(value)
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`
  if (typeof value !== 'object' || value === null)
    return typeof value === 'string' && /^[*!&]/.test(value) ? `"${value}"` : String(value)
  return `{ ${Object.entries(value)
    .map(([key, entry]) => `${/^[\w.-]+$/.test(key) ? key : `"${key}"`}: ${flow(entry)}`)
    .join(', ')} }`
}

/** An example's inputs under the names that its step refers to them by. */
interface Named {
  readonly step: readonly string[]
  readonly values: readonly (readonly [name: string, value: unknown])[]
}

const nameInput = (key: string, spec: InputSpec | undefined, value: unknown): Named => {
  if (spec === undefined || !spec.many) return { step: [`${key}: ${key}`], values: [[key, value]] }
  const items = (value as readonly unknown[]).map((item, i) => {
    const name = `${key.replace(/s$/, '')}${i + 1}`
    if (Array.isArray(item) || spec.type === 'adapter') return { text: name, values: [[name, item]] as const }
    const { model, kept, ...params } = item as Readonly<Record<string, unknown>>
    const mask = kept === undefined ? [] : [[`kept${i + 1}`, kept] as const]
    return {
      text: flow({ model: name, ...params, ...(kept === undefined ? {} : { kept: `kept${i + 1}` }) }),
      values: [[name, model] as const, ...mask],
    }
  })
  return {
    step: [`${key}:`, ...items.map(({ text }) => `  - ${text}`)],
    values: items.flatMap(({ values }) => [...values]),
  }
}

const showExample = ({ id, inputs }: Operator, example: Example): string => {
  const named = Object.entries(example.inputs).map(([key, value]) => nameInput(key, inputs[key], value))
  const lines = [
    `op: ${id}`,
    ...named.flatMap(({ step }) => step),
    ...Object.entries(example.params ?? {}).map(([key, value]) => `${key}: ${flow(value)}`),
  ]
  const values = named.flatMap(({ values }) => values.map(([name, value]) => `\`${name}\` ${flow(value)}`))
  return [
    ...(example.title === undefined ? [] : [`${capitalize(example.title)}:`, '']),
    '```yaml',
    'result:',
    ...lines.map((line) => `  ${line}`),
    '```',
    '',
    `${values.join(', ')} → ${flow(example.expect)}${Object.entries(example.dtypes ?? {})
      .map(([tensor, dtype]) => `, \`${tensor}\` in ${dtype}`)
      .join('')}`,
  ].join('\n')
}

const capitalize = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)

const rangeOf = (spec: ParamSpec): string => {
  switch (spec.type) {
    case 'number':
    case 'integer': {
      const noun = spec.type === 'integer' ? 'whole number' : 'number'
      const { min, max } = spec
      const bounds =
        min !== undefined && max !== undefined
          ? ` ${min} to ${max}`
          : min !== undefined
            ? ` from ${min}`
            : max !== undefined
              ? ` up to ${max}`
              : ''
      return `${noun}${bounds}${spec.per === 'layer' ? ', per layer' : ''}`
    }
    case 'boolean':
      return 'true or false'
    case 'choice':
      return Object.keys(spec.choices)
        .map((word) => `\`${word}\``)
        .join(', ')
    case 'choices':
      return `one or a list of ${Object.keys(spec.choices)
        .map((word) => `\`${word}\``)
        .join(', ')}`
    case 'text':
      return spec.title
    case 'dtypes':
      return 'dtype, or dtypes by layer'
    case 'names':
      return 'new names by pattern'
    case 'statistics':
      return 'a file of statistics'
    case 'masks':
      return 'a mask'
    case 'layers':
      return 'layer patterns'
    case 'gaussian':
      return '`{ mean, std, above }`'
    case 'numbers':
      return 'list of numbers'
    case 'layer-range':
      return '`[first, end]`, the end left out'
    case 'blocks':
      return 'list of numbers, or `{ IN04: 0.3 }`'
    case 'preset':
      return 'name of a preset'
    case 'prompts':
      return 'list of texts, or of lists of token ids'
  }
}

const defaultOf = (spec: ParamSpec): string =>
  'default' in spec && spec.default !== undefined
    ? `\`${Array.isArray(spec.default) ? flow(spec.default) : spec.default}\``
    : 'required' in spec && spec.required === true
      ? 'required'
      : '–'

const explainParam = (spec: ParamSpec): string =>
  'choices' in spec ? `${spec.description} ${explainWords(spec.choices)}` : spec.description

const row = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`

/** A table in Markdown with an empty line behind it; nothing where there are no rows. */
export const markdownTable = (head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] =>
  rows.length === 0 ? [] : [row(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(row), '']

/** The names that people know an operator by elsewhere; each tool's with the settings that give it. */
const aliasTable = (aliases: readonly Alias[]): readonly string[] =>
  markdownTable(
    ['other name', 'in', 'settings'],
    groupAliases(aliases).map(({ names, from, settings = '–' }) => [
      names.map((name) => `\`${name}\``).join(', '),
      from,
      settings,
    ]),
  )

const kindOf = (input: InputSpec): string => {
  if (input.type === 'adapter') return input.many ? 'list of adapters' : 'adapter'
  const [one, many] =
    input.type === 'mask'
      ? ['mask', 'masks']
      : input.space === 'delta'
        ? ['difference', 'differences']
        : input.space === 'any'
          ? ['model or difference', 'models or differences']
          : ['model', 'models']
  return `${input.many ? `list of ${many}` : one}${'optional' in input && input.optional ? ', optional' : ''}`
}

/**
 * The page of one operator in Markdown: what it does, what it takes, examples that the tests run, and where it comes
 * from.
 */
export const operatorPage = (operator: Operator): string => {
  const { id, aliases = [], summary, details, inputs, params, output, source, examples } = operator
  const each = Object.values(inputs).flatMap((input) =>
    input.type === 'model' && input.many ? Object.entries(input.each) : [],
  )
  const paramRow =
    (prefix: string) =>
    ([key, spec]: readonly [string, ParamSpec]): readonly string[] => [
      `${prefix}\`${key}\``,
      rangeOf(spec),
      defaultOf(spec),
      explainParam(spec),
    ]
  const shared = sharedKeys(operator)
  return [
    `## ${id}`,
    '',
    summary,
    '',
    ...(details === undefined ? [] : [details, '']),
    ...markdownTable(
      ['input', 'kind', 'meaning'],
      Object.entries(inputs).map(([key, input]) => [`\`${key}\``, kindOf(input), input.description]),
    ),
    ...markdownTable(
      ['parameter', 'values', 'default', 'meaning'],
      [...each.map(paramRow('of each model: ')), ...Object.entries(params).map(paramRow(''))],
    ),
    `Gives: ${output}.${shared.length === 0 ? '' : ` Also takes ${shared.map((key) => `\`${key}\``).join(', ')}.`}`,
    '',
    ...examples.flatMap((example) => [showExample(operator, example), '']),
    ...aliasTable(aliases),
    ...(source === undefined ? [] : [`Source: ${source}.`, '']),
  ].join('\n')
}

const SHARED_KEYS = ['layers', 'mask', 'unmasked', 'missing', 'mismatch', 'architectures', 'seed'] as const

const anchor = (id: string): string => id.replaceAll('.', '')

/** All operators' pages as one document with a table of contents. */
export const operatorsDocument = (operators: readonly Operator[]): string =>
  [
    '# Operators',
    '',
    'Every step of a recipe has an `op`, which is one of these. The tests run all examples. `smelt ops NAME` shows one page in the terminal, by the name of the operator or by one that another tool has for it; `smelt ops --search WORDS` searches them all.',
    '',
    ...markdownTable(
      ['operator', 'what it does'],
      operators.map(({ id, summary }) => [`[${id}](#${anchor(id)})`, summary]),
    ),
    '## Keys that operators share',
    '',
    ...markdownTable(
      ['key', 'meaning'],
      SHARED_KEYS.map((key) => [`\`${key}\``, explainShared(key)]),
    ),
    '“Per layer” means that the value may be a number, the name of a step that makes weights, or rules in place: `{ default: 0.5, "block:out.*": 0.3 }`. Later rules win.',
    '',
    ...operators.map(operatorPage),
  ]
    .join('\n')
    .trimEnd() + '\n'
