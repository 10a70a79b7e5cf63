import { countResults } from '#src/operators/count-results.js'
import type { Example } from '#src/operators/definition.js'
import type { Operator } from '#src/operators/operator.js'
import type { InputSpec } from '#src/operators/params.js'
import { runOf, type PlainFile, type PlainTensor, type RecipeRun } from './recipe-run.js'

type Steps = Record<string, Record<string, unknown>>

const shapeOf = (value: unknown): readonly number[] =>
  Array.isArray(value) ? [value.length, ...shapeOf(value[0])] : []

const tensorOf = (value: unknown): PlainTensor => {
  const flat = [value].flat(Infinity) as readonly (number | boolean)[]
  return {
    dtype: flat.some((x) => typeof x === 'boolean') ? 'bool' : 'f32',
    shape: shapeOf(value),
    values: flat.map(Number),
  }
}

/** One tensor, called `x`, or several by name. */
const fileOf = (value: unknown): PlainFile =>
  Array.isArray(value)
    ? { x: tensorOf(value) }
    : Object.fromEntries(Object.entries(value as object).map(([name, tensor]) => [name, tensorOf(tensor)]))

const ones = (file: PlainFile): Readonly<Record<string, readonly number[]>> =>
  Object.fromEntries(Object.entries(file).map(([name, { values }]) => [name, values.map(() => 1)]))

/** The inputs of an example that are lists, rather than tensors. */
const many = (operator: Operator, { inputs }: Example): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(inputs).filter(([key]) => {
      const spec = operator.inputs[key]
      return spec !== undefined && spec.type !== 'adapter' && spec.many
    }),
  )

/** The weight that an adapter's module `x` is for, all zeros. */
const zerosFor = (adapter: PlainFile): Readonly<Record<string, unknown>> => {
  const [rows, columns] = [adapter['x.lora_up.weight']!.shape[0], adapter['x.lora_down.weight']!.shape[1]]
  return { x: Array.from({ length: rows! }, () => Array.from({ length: columns! }, () => 0)) }
}

/**
 * A recipe over small files that does what an operator's example says. Models, masks and differences are files, under
 * the names of the inputs.
 */
export const exampleRun = (operator: Operator, example: Example): RecipeRun => {
  const files: Record<string, PlainFile> = {}
  const steps: Steps = {}
  const addFile = (name: string, value: unknown): string => {
    files[name] = fileOf(value)
    return name
  }
  const adapters: string[] = []
  const addAdapter = (name: string, value: unknown): string => {
    adapters.push(name)
    return addFile(name, value)
  }
  const addMask = (name: string, value: unknown): string => {
    steps[name] = { op: 'mask.load', file: addFile(`${name}_file`, value) }
    return name
  }
  const addDelta = (name: string, value: readonly number[]): string => {
    steps[name] = {
      op: 'model.subtract',
      a: addFile(`${name}_high`, value),
      b: addFile(
        `${name}_low`,
        value.map(() => 0),
      ),
    }
    return name
  }
  const addItem = (name: string, item: unknown): unknown => {
    if (Array.isArray(item)) return addFile(name, item)
    const { model, kept, statistics, ...params } = item as Readonly<Record<string, unknown>>
    return {
      model: addFile(name, model),
      ...params,
      ...(statistics === undefined ? {} : { statistics: addFile(`${name}_statistics`, statistics) }),
      ...(kept === undefined ? {} : { kept: addMask(`${name}_kept`, kept) }),
    }
  }
  const addInput = (key: string, spec: InputSpec | undefined, value: unknown): unknown => {
    const list = value as readonly unknown[]
    if (spec?.type === 'adapter' && spec.many)
      return list.map((item, i) => addAdapter(`${key.replace(/s$/, '')}${i + 1}`, item))
    if (spec?.type === 'adapter') return addAdapter(key, value)
    if (spec === undefined || (spec.type === 'mask' && !spec.many)) return addMask(`${key}_in`, value)
    if (spec.type === 'mask') return list.map((item, i) => addMask(`${key}_${i + 1}`, item))
    if (spec.many) return list.map((item, i) => addItem(`${key}_${i + 1}`, item))
    return spec.space === 'delta' ? addDelta(`${key}_in`, list as readonly number[]) : addFile(key, value)
  }
  const inputs = Object.fromEntries(
    Object.entries(example.inputs).map(([key, value]) => [key, addInput(key, operator.inputs[key], value)]),
  )
  steps['result'] = { op: operator.id, ...inputs, ...example.params }
  const expected = fileOf(example.expect)
  // Numbers per layer are seen by what they make of a model of ones; of several results the first is seen.
  if (operator.output === 'weights')
    steps['shown'] = { op: 'model.scale', model: addFile('ones', ones(expected)), factor: 'result' }
  // An adapter is seen by what it makes of its base, or of zeros.
  if (operator.output === 'adapter') {
    const model = files['base'] === undefined ? addFile('zeros', zerosFor(files[adapters[0]!]!)) : 'base'
    steps['shown'] = { op: 'adapter.apply', model, adapter: 'result' }
  }
  if (countResults(operator, example.params ?? {}, many(operator, example)) > 1)
    steps['shown'] =
      operator.output === 'mask'
        ? { op: 'mask.union', masks: ['result.1', 'result.1'] }
        : { op: 'merge.passthrough', model: 'result.1' }
  const like = files['zeros'] ?? Object.values(files)[0]!
  const shaped =
    operator.output === 'weights'
      ? expected
      : Object.fromEntries(
          Object.entries(expected).map(([name, tensor]) => [
            name,
            {
              ...tensor,
              shape: like[name]?.shape ?? tensor.shape,
              ...(example.dtypes?.[name] === undefined
                ? {}
                : { dtype: example.dtypes[name].toLowerCase() as PlainTensor['dtype'] }),
            },
          ]),
        )
  return runOf(files, steps, shaped, {
    delta: operator.id === 'model.subtract',
    ...(adapters.length === 0 ? {} : { adapters }),
  })
}
