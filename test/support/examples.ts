import type { Example, Operator } from '#src/operators/define.js'
import type { InputSpec } from '#src/operators/params.js'
import { runOf, type PlainFile, type PlainTensor, type RecipeRun } from './recipe-run.js'

type Steps = Record<string, Record<string, unknown>>

const shapeOf = (value: unknown): readonly number[] => (Array.isArray(value) ? [value.length, ...shapeOf(value[0])] : [])

const tensorOf = (value: unknown): PlainTensor => {
  const flat = (value as readonly unknown[]).flat(Infinity) as readonly (number | boolean)[]
  return { dtype: flat.some((x) => typeof x === 'boolean') ? 'bool' : 'f32', shape: shapeOf(value), values: flat.map(Number) }
}

/** A recipe over one-tensor files that does what an operator's example says. Models, masks and differences are files, under the names of the inputs. */
export const exampleRun = (operator: Operator, example: Example): RecipeRun => {
  const files: Record<string, PlainFile> = {}
  const steps: Steps = {}
  const addFile = (name: string, value: unknown): string => {
    files[name] = { x: tensorOf(value) }
    return name
  }
  const addMask = (name: string, value: unknown): string => {
    steps[name] = { op: 'mask.load', file: addFile(`${name}_file`, value) }
    return name
  }
  const addDelta = (name: string, value: readonly number[]): string => {
    steps[name] = { op: 'model.subtract', a: addFile(`${name}_high`, value), b: addFile(`${name}_low`, value.map(() => 0)) }
    return name
  }
  const addItem = (name: string, item: unknown): unknown => {
    if (Array.isArray(item)) return addFile(name, item)
    const { model, kept, ...params } = item as Readonly<Record<string, unknown>>
    return { model: addFile(name, model), ...params, ...(kept === undefined ? {} : { kept: addMask(`${name}_kept`, kept) }) }
  }
  const addInput = (key: string, spec: InputSpec | undefined, value: unknown): unknown => {
    const list = value as readonly unknown[]
    if (spec === undefined || (spec.type === 'mask' && !spec.many)) return addMask(`${key}_in`, value)
    if (spec.type === 'mask') return list.map((item, i) => addMask(`${key}_${i + 1}`, item))
    if (spec.many) return list.map((item, i) => addItem(`${key}_${i + 1}`, item))
    return spec.space === 'delta' ? addDelta(`${key}_in`, list as readonly number[]) : addFile(key, value)
  }
  const inputs = Object.fromEntries(Object.entries(example.inputs).map(([key, value]) => [key, addInput(key, operator.inputs[key], value)]))
  steps['result'] = { op: operator.id, ...inputs, ...example.params }
  // Numbers per layer are seen by what they make of a model of ones.
  if (operator.output === 'weights') steps['shown'] = { op: 'model.scale', model: addFile('ones', example.expect.map(() => 1)), factor: 'result' }
  const shape = Object.values(files)[0]!['x']!.shape
  const expected = tensorOf(example.expect)
  return runOf(files, steps, { x: { ...expected, shape: operator.output === 'weights' ? expected.shape : shape } }, { delta: operator.id === 'model.subtract' })
}
