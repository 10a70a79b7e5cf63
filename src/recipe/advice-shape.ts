import { basename, extname } from 'node:path'
import * as say from '../base/catalogue/advice.js'
import type { Diagnostic } from '../base/diagnostic.js'
import type { MapValue, Value } from '../document/value.js'
import { findOperator } from '../operators/index.js'

/** A problem with better advice; `undefined` where another problem says it already. */
export type Adviser = (problem: Diagnostic) => Diagnostic | undefined

type Entries = MapValue['entries']

/** The entries of a map; none of anything else. */
export const mapOf = (value: Value | undefined): Entries => (value?.type === 'map' ? value.entries : new Map())
/** A string; an empty one of anything else. */
export const textOf = (value: Value | undefined): string => (value?.type === 'string' ? value.value : '')

const PATH = /[/\\]|\.(?:safetensors|sft|ckpt|pt|pth|bin|gguf|json)$/i

/** A name that a file could have in a recipe. */
const nameFor = (path: string): string =>
  basename(path.replaceAll('\\', '/'), extname(path))
    .replace(/[^A-Za-z0-9_-]+/g, '_')
    .replace(/^[^A-Za-z]+/, '') || 'model'

/** The step that an output would be of: the last that makes a model, else a model of the recipe. */
const resultOf = (top: Entries): string => {
  const steps = [...mapOf(top.get('steps')?.value)]
  const last = steps.findLast(
    ([, { value }]) => findOperator(textOf(mapOf(value).get('op')?.value))?.output === 'model',
  )
  return (last ?? steps.at(-1) ?? [...mapOf(top.get('models')?.value)][0] ?? ['STEP'])[0]
}

/** An item of a list of files as an entry of a map: `- a.safetensors`, `- a: a.safetensors` or `- path: a.safetensors`. */
const fileEntry = (item: Value | undefined): string => {
  const [[key, entry] = []] = mapOf(item)
  const path = textOf(item) || textOf(mapOf(item).get('path')?.value)
  if (path !== '') return `${nameFor(path)}: ${path}`
  return key === undefined ? 'anime: anime.safetensors' : `${key}: ${textOf(entry?.value) || 'FILE'}`
}

const stepEntry = (item: Value | undefined): string => {
  const step = mapOf(item)
  const name = textOf(step.get('name')?.value) || textOf(step.get('id')?.value)
  return `${name || 'merged'}: { op: ${textOf(step.get('op')?.value) || 'merge.blend'}, … }`
}

const outputEntry = (name: string, path: string, top: Entries): string =>
  `${name}: { from: ${resultOf(top)}, path: ${path === '' ? 'merged.safetensors' : path} }`

/** Advice on blocks of a recipe that are written as lists or strings, and on a recipe that is empty. */
export const adviseShape = (advisers: Map<number, Adviser>, root: Value): void => {
  const top = mapOf(root)
  const onType = (value: Value, better: Adviser): void =>
    void advisers.set(value.range.start, (problem) => (problem.code === 'wrong-type' ? better(problem) : problem))
  if (root.type === 'null') onType(root, say.emptyRecipe)
  for (const [block, entry] of [
    ['models', 'model'],
    ['adapters', 'adapter'],
  ] as const) {
    const files = top.get(block)?.value
    if (files?.type === 'list') onType(files, (problem) => say.namedEntries(problem, entry, fileEntry(files.items[0])))
  }
  const steps = top.get('steps')?.value
  if (steps?.type === 'list') onType(steps, (problem) => say.namedEntries(problem, 'step', stepEntry(steps.items[0])))
  const outputs = top.get('outputs')?.value
  if (outputs?.type === 'list') {
    const path = textOf(outputs.items[0]) || textOf(mapOf(outputs.items[0]).get('path')?.value)
    onType(outputs, (problem) => say.namedEntries(problem, 'output', outputEntry('merged', path, top)))
  }
  if (outputs?.type === 'string')
    onType(outputs, (problem) =>
      say.outputWithPath(problem, `outputs: { ${outputEntry('merged', outputs.value, top)} }`),
    )
  for (const [name, { value }] of mapOf(outputs)) {
    if (value.type === 'string')
      onType(value, (problem) => say.outputWithPath(problem, outputEntry(name, value.value, top)))
    const from = mapOf(value).get('from')?.value
    if (from !== undefined) adviseName(advisers, from, 'models', top)
  }
}

/** The blocks that give names. */
const NAMING = ['models', 'adapters', 'params', 'steps'] as const

/** Advice on a path where the name of an input belongs. */
const adviseName = (advisers: Map<number, Adviser>, named: Value, block: 'models' | 'adapters', top: Entries): void => {
  const path = textOf(named)
  if (!PATH.test(path)) return
  const isName = (name: string): boolean => NAMING.some((key) => mapOf(top.get(key)?.value).has(name))
  const [step = '', output = ''] = path.split('/')
  if (!path.includes('.') && isName(step)) {
    advisers.set(named.range.start, (problem) => say.outputOfStep(problem, step, output))
    return
  }
  const known = [...mapOf(top.get(block)?.value)]
  const [own] = known.find(([, { value }]) => path === (textOf(value) || textOf(mapOf(value).get('path')?.value))) ?? []
  const name = nameFor(path)
  advisers.set(named.range.start, (problem) =>
    say.nameOfPath(problem, block, path, own ?? (isName(name) ? `${name}_2` : name), own !== undefined),
  )
}

/** Advice on paths where the names of a step's inputs belong, and on empty lists of models. */
export const adviseNames = (advisers: Map<number, Adviser>, step: MapValue, top: Entries): void => {
  const operator = findOperator(textOf(step.entries.get('op')?.value))
  for (const [key, input] of Object.entries(operator?.inputs ?? {})) {
    if (input.type !== 'model' && input.type !== 'adapter') continue
    const block = input.type === 'model' ? 'models' : 'adapters'
    const value = step.entries.get(key)?.value
    for (const item of value?.type === 'list' ? value.items : value === undefined ? [] : [value]) {
      const named = item.type === 'map' ? item.entries.get('model')?.value : item
      if (named !== undefined) adviseName(advisers, named, block, top)
    }
    if (value?.type === 'list' && value.items.length === 0) {
      const used = Object.keys(operator!.inputs).map((other) => textOf(step.entries.get(other)?.value))
      const free = [...mapOf(top.get('models')?.value).keys()].filter((name) => !used.includes(name))
      const names = free.length > 0 ? free.slice(0, 3) : ['anime', 'photo']
      advisers.set(value.range.start, (problem) =>
        problem.code === 'wrong-length' ? say.someModels(problem, key, names) : problem,
      )
    }
  }
}
