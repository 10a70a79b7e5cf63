import * as problems from '../base/catalogue/pytorch.js'
import { failed, ok, type Result } from '../base/result.js'
import { isA, type PickleDict, type PickleValue, type TensorRef } from './values.js'

/** The state dict of a checkpoint, and what stands beside its tensors. */
export interface StateDict {
  /** In the order of the file. */
  readonly tensors: ReadonlyMap<string, TensorRef>
  /** The keys that lead to it, such as `state_dict`; none where the file is a state dict itself. */
  readonly keys: readonly string[]
  /** Keys of everything that is no tensor of it, as paths from the top. */
  readonly skipped: readonly string[]
  /** Tensors among what is skipped, such as those of an optimizer. */
  readonly skippedTensors: number
}

/** What trainers call the state dict among what else they save; the first that is there is taken. */
const USUAL = ['state_dict', 'model_state_dict', 'model', 'module']

/** Dicts in dicts before it is called a mistake. */
const MOST_LEVELS = 8

/** Counts the tensors in values, however they are nested; each once, in all values together. */
const createCounter = (): ((value: PickleValue) => number) => {
  const met = new Set<PickleValue>()
  return (value) => {
    const queue = [value]
    let count = 0
    for (const next of queue) {
      if (typeof next !== 'object' || next === null || met.has(next)) continue
      met.add(next)
      if (next.type === 'tensor') count++
      else if (next.type === 'dict') for (const inner of next.entries.values()) queue.push(inner)
      else if (next.type === 'list' || next.type === 'tuple') for (const inner of next.items) queue.push(inner)
    }
    return count
  }
}

/** The dicts from which dicts lead to a tensor. Each way from one to another is gone once, for there may be millions. */
const leadingToTensors = (root: PickleDict): ReadonlySet<PickleValue> => {
  const above = new Map<PickleValue, PickleDict[]>([[root, []]])
  const [queue, leading]: [PickleDict[], PickleDict[]] = [[root], []]
  for (const dict of queue) {
    if (holdsTensors(dict)) leading.push(dict)
    for (const inner of dict.entries.values()) {
      if (!isA(inner, 'dict')) continue
      const known = above.get(inner)
      if (known !== undefined) known.push(dict)
      else {
        above.set(inner, [dict])
        queue.push(inner)
      }
    }
  }
  const found = new Set<PickleValue>(leading)
  for (const dict of leading) {
    for (const outer of above.get(dict)!) {
      if (found.has(outer)) continue
      found.add(outer)
      leading.push(outer)
    }
  }
  return found
}

const holdsTensors = (dict: PickleDict): boolean => {
  for (const value of dict.entries.values()) if (isA(value, 'tensor')) return true
  return false
}

const textOf = (key: PickleValue): string =>
  isA(key, 'global') ? key.name : typeof key === 'object' ? '?' : String(key)

/**
 * Finds the state dict in what a checkpoint's pickle holds: the dict with tensors directly in it. Where there are
 * several, `key` chooses, a path such as `ema.model`; otherwise the usual names do.
 */
export const findStateDict = (path: string, root: PickleValue, key?: string): Result<StateDict> => {
  const [keys, skipped]: [string[], string[]] = [[], []]
  const wanted = key === undefined ? [] : key.split('.')
  if (!isA(root, 'dict')) return failed(problems.noStateDict(path))
  const [leading, countTensors] = [leadingToTensors(root), createCounter()]
  let [dict, skippedTensors] = [root, 0]
  for (;;) {
    const here = dict
    const leave = (others: readonly PickleValue[]): void => {
      for (const other of others) {
        skipped.push([...keys, textOf(other)].join('.'))
        skippedTensors += countTensors(here.entries.get(other)!)
      }
    }
    if (keys.length >= wanted.length && holdsTensors(dict)) {
      leave([...dict.entries].flatMap(([name, value]) => (isA(value, 'tensor') ? [] : [name])))
      const tensors = [...dict.entries].filter(([, value]) => isA(value, 'tensor'))
      const unnamed = tensors.find(([name]) => typeof name !== 'string')
      if (unnamed !== undefined) return failed(problems.tensorUnnamed(path, textOf(unnamed[0])))
      return ok({ tensors: new Map(tensors as [string, TensorRef][]), keys, skipped, skippedTensors })
    }
    const candidates = new Map(
      [...dict.entries].flatMap(([name, value]) =>
        typeof name === 'string' && isA(value, 'dict') && leading.has(value) ? [[name, value] as const] : [],
      ),
    )
    const names = [...candidates.keys()]
    const asked = wanted[keys.length]
    const chosen = asked ?? USUAL.find((name) => candidates.has(name)) ?? (names.length === 1 ? names[0] : undefined)
    const next = chosen === undefined ? undefined : candidates.get(chosen)
    if (asked !== undefined && next === undefined)
      return failed(problems.keyWithoutTensors(path, [...keys, asked].join('.'), names))
    if (next === undefined && names.length > 1)
      return failed(
        problems.severalStateDicts(
          path,
          names.map((name) => [...keys, name].join('.')),
        ),
      )
    if (next === undefined || keys.length === MOST_LEVELS) return failed(problems.noStateDict(path))
    leave([...dict.entries.keys()].filter((name) => name !== chosen))
    keys.push(chosen!)
    dict = next
  }
}
