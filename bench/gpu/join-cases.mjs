// Many small recipes as one, so that a device is started once for all of them.
import { findOperator } from '../../dist/operators/index.js'

const isPlain = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * A step under new names: every reference to a model, adapter or step, and nothing else, which takes the operator's
 * word for what is one.
 */
const renameStep = (step, rename) => {
  const operator = findOperator(step.op)
  if (operator === undefined) throw new Error(`no operator is called ${step.op}`)
  const renameParams = (params, specs) =>
    Object.fromEntries(
      Object.entries(params).map(([key, value]) => {
        const spec = specs[key]
        const refers =
          spec !== undefined &&
          typeof value === 'string' &&
          (spec.type === 'masks' || (spec.type === 'number' && spec.per === 'layer'))
        return [key, refers ? rename(value) : value]
      }),
    )
  const renameMany = (list, each) => {
    if (isPlain(list)) return Object.fromEntries(Object.entries(list).map(([name, value]) => [rename(name), value]))
    return list.map((item) =>
      typeof item === 'string' ? rename(item) : { ...renameParams(item, each), model: rename(item.model) },
    )
  }
  const renameInput = (spec, value) => {
    if (spec.type === 'model' && spec.many) return renameMany(value, spec.each)
    return Array.isArray(value) ? value.map(rename) : rename(value)
  }
  return Object.fromEntries(
    Object.entries(step).map(([key, value]) => {
      if (operator.inputs[key] !== undefined) return [key, renameInput(operator.inputs[key], value)]
      if (key === 'mask' && operator.merges) return [key, rename(value)]
      return Object.entries(renameParams({ [key]: value }, operator.params))[0]
    }),
  )
}

const mapNames = (record, change) => Object.fromEntries(Object.entries(record ?? {}).map(change))

/**
 * One recipe of many: each case has its names and files under a prefix of its own, `c0` upwards, and writes
 * `out/c0.safetensors`.
 * A case is `{ recipe, dtype?, nonFinite? }` with one output, `out`. With `shared`, all read the same files, under the
 * names they have.
 */
export const joinRecipes = (cases, { shared = false } = {}) => {
  const joined = { smelt: 1, models: {}, adapters: {}, steps: {}, outputs: {} }
  for (const [i, { recipe, dtype, nonFinite }] of cases.entries()) {
    const prefix = `c${i}`
    const names = new Set(
      [...(shared ? [] : [recipe.models, recipe.adapters ?? {}]), recipe.steps].flatMap((part) => Object.keys(part)),
    )
    const rename = (name) => (names.has(name.split('.')[0]) ? `${prefix}_${name}` : name)
    const file = ([name, path]) => [rename(name), shared ? path : `${prefix}/${path}`]
    Object.assign(joined.models, mapNames(recipe.models, file))
    Object.assign(joined.adapters, mapNames(recipe.adapters, file))
    Object.assign(
      joined.steps,
      mapNames(recipe.steps, ([name, step]) => [rename(name), renameStep(step, rename)]),
    )
    const { from, delta } = recipe.outputs.out
    joined.outputs[prefix] = {
      from: rename(from),
      path: `out/${prefix}.safetensors`,
      ...(delta === true ? { delta } : {}),
      ...(dtype === undefined ? {} : { dtype }),
      ...(nonFinite === undefined ? {} : { non_finite: nonFinite }),
    }
  }
  if (Object.keys(joined.adapters).length === 0) delete joined.adapters
  return joined
}

/**
 * A recipe that writes only some of its outputs. What only the others need is left out, so that nothing is told of it.
 */
export const keepOutputs = (recipe, names) => {
  const outputs = Object.fromEntries(names.map((name) => [name, recipe.outputs[name]]))
  const [used, open] = [new Set(), names.map((name) => recipe.outputs[name].from)]
  const look = (value) => {
    if (typeof value === 'string') open.push(value)
    else if (Array.isArray(value)) value.forEach(look)
    else if (isPlain(value))
      Object.entries(value).forEach(([key, inner]) => {
        open.push(key)
        look(inner)
      })
  }
  while (open.length > 0) {
    const name = open.pop().split('.')[0]
    if (used.has(name) || (recipe.models[name] ?? recipe.adapters?.[name] ?? recipe.steps[name]) === undefined) continue
    used.add(name)
    if (recipe.steps[name] !== undefined) look(recipe.steps[name])
  }
  const keep = (record) => Object.fromEntries(Object.entries(record ?? {}).filter(([name]) => used.has(name)))
  const { adapters, ...rest } = {
    ...recipe,
    models: keep(recipe.models),
    steps: keep(recipe.steps),
    adapters: keep(recipe.adapters),
    outputs,
  }
  return Object.keys(adapters).length === 0 ? rest : { ...rest, adapters }
}
