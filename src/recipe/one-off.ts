import { escapeJson } from '../base/excerpt.js'
import { isPlain, YAML_WORD } from '../document/write.js'
import type { Operator } from '../operators/operator.js'
import type { InputSpec } from '../operators/params.js'
import { INPUT_BLOCKS, INPUT_KINDS } from './inputs.js'
import type { InputKind } from './recipe.js'

/**
 * What a command line says about one step: files in the order they were named, and values by the operator's keys, as
 * texts of YAML flow style.
 */
export interface OneOff {
  readonly operator: Operator
  readonly files: readonly string[]
  readonly values: Readonly<Record<string, string>>
  readonly output: string
  readonly dtype: string | undefined
  readonly shardSize: string | undefined
}

/** A name for a recipe made of a file's: letters, digits, `_` and `-`, and unlike the others, to which it is added. */
export const nameOfFile = (file: string, taken: Set<string>): string => {
  const plain = file.replace(/(\.(?:safetensors|ckpt|pt|pth|bin)|\.index\.json)+$/, '').replace(/[^A-Za-z0-9_-]+/g, '_')
  const word =
    plain
      .replace(/^[^A-Za-z]+/, '')
      .slice(0, 40)
      .replace(/_+$/, '') || 'model'
  const stem = YAML_WORD.test(word) ? `${word}_model` : word
  let name = stem
  for (let n = 2; taken.has(name); n++) name = `${stem}-${n}`
  taken.add(name)
  return name
}

/** Double quotes where YAML, or `$` of a param, could read a text as anything else. */
export const quoted = (text: string): string => (isPlain(text) ? text : escapeJson(JSON.stringify(text)))

interface File {
  readonly name: string
  readonly path: string
  readonly kind: InputKind
}

/**
 * Which input each file is for: those given by key first, then the others in the order of the inputs; a list takes all
 * that are left.
 */
const fillInputs = (
  inputs: Readonly<Record<string, InputSpec>>,
  files: readonly string[],
  values: Readonly<Record<string, string>>,
): ReadonlyMap<string, readonly string[]> => {
  const left = [...files]
  const filled = new Map<string, readonly string[]>()
  const wanted = Object.entries(inputs).filter(([key, spec]) => spec.type !== 'mask' && !Object.hasOwn(values, key))
  // A list takes what the single inputs leave; optional ones come last.
  const order = [
    ...wanted.filter(([, s]) => !s.many && !s.optional),
    ...wanted.filter(([, s]) => s.many),
    ...wanted.filter(([, s]) => !s.many && s.optional),
  ]
  for (const [key, spec] of order) if (left.length > 0) filled.set(key, spec.many ? left.splice(0) : left.splice(0, 1))
  if (left.length > 0) filled.set('', left)
  return filled
}

/**
 * The recipe that a command line stands for, as a person would write it. Files that no input takes are given back, and so
 * are inputs that have none.
 */
export const renderOneOff = ({
  operator,
  files,
  values,
  output,
  dtype,
  shardSize,
}: OneOff): { readonly text: string; readonly unused: readonly string[]; readonly lacking: readonly string[] } => {
  const taken = new Set(['result'])
  const known = new Map<string, File>()
  const nameOf = (path: string, kind: InputKind): string => {
    const file = known.get(path) ?? { name: nameOfFile(path.replace(/^.*[/\\]/, ''), taken), path, kind }
    known.set(path, file)
    return file.name
  }
  const filled = fillInputs(operator.inputs, files, values)
  const kindOf = (key: string): InputKind => (operator.inputs[key]?.type === 'adapter' ? 'adapter' : 'model')
  const each = (key: string): readonly string[] => {
    const spec = operator.inputs[key]
    return spec?.type === 'model' && spec.many ? Object.keys(spec.each) : []
  }
  /** Texts of a list written with commas, one for each model; rules are one value for all. */
  const listOf = (text: string): readonly string[] =>
    /[{}]/.test(text)
      ? [text]
      : text
          .replace(/^\[(.*)\]$/, '$1')
          .split(',')
          .map((t) => t.trim())
  const own = new Set(Object.keys(operator.inputs).flatMap(each))
  const inputs = Object.keys(operator.inputs).flatMap((key): string[] => {
    const given = Object.hasOwn(values, key) ? listOf(values[key]!) : filled.get(key)
    const spec = operator.inputs[key]!
    if (given === undefined || spec.type === 'mask') return given === undefined ? [] : [`    ${key}: ${values[key]!}`]
    if (!spec.many) return [`    ${key}: ${nameOf(given[0]!, kindOf(key))}`]
    return [
      `    ${key}:`,
      ...given.map((path, i) => {
        const params = each(key)
          .filter((k) => Object.hasOwn(values, k))
          .map((k) => `, ${k}: ${listOf(values[k]!)[i] ?? listOf(values[k]!).at(-1)!}`)
        return params.length === 0
          ? `      - ${nameOf(path, kindOf(key))}`
          : `      - { model: ${nameOf(path, 'model')}${params.join('')} }`
      }),
    ]
  })
  const params = Object.entries(values)
    .filter(([key]) => !Object.hasOwn(operator.inputs, key) && !own.has(key))
    .map(([key, text]) => `    ${key}: ${text}`)
  const block = (kind: InputKind): string[] => {
    const list = [...known.values()].filter((f) => f.kind === kind)
    return list.length === 0 ? [] : [`${INPUT_BLOCKS[kind]}:`, ...list.map((f) => `  ${f.name}: ${quoted(f.path)}`)]
  }
  const options = [
    ...(dtype === undefined ? [] : [`dtype: ${dtype}`]),
    ...(shardSize === undefined ? [] : [`shard_size: ${quoted(shardSize)}`]),
  ]
  return {
    text: `${[
      'smelt: 1',
      ...INPUT_KINDS.flatMap(block),
      'steps:',
      '  result:',
      `    op: ${operator.id}`,
      ...inputs,
      ...params,
      'outputs:',
      '  file:',
      '    from: result',
      `    path: ${quoted(output)}`,
      ...options.map((line) => `    ${line}`),
    ].join('\n')}\n`,
    unused: filled.get('') ?? [],
    lacking: Object.entries(operator.inputs).flatMap(([key, spec]) =>
      spec.type === 'mask' || ('optional' in spec && spec.optional) || filled.has(key) || Object.hasOwn(values, key)
        ? []
        : [key],
    ),
  }
}
