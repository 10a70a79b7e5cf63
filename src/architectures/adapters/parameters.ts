import * as say from '../../base/catalogue/adapter-parameters.js'
import { factorDtype, rankZero, twoKinds } from '../../base/catalogue/adapters.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { append } from '../../base/lists.js'
import { failed, ok, type Result } from '../../base/result.js'
import { isFloat } from '../../tensor/dtype.js'
import { partOfExpert, separateExperts, type ExpertFactors, type ExpertLayer } from './experts.js'
import type { AdapterModule } from './modules.js'
import type { AdapterNames, AdapterTarget } from './names.js'
import type { Patched, Sourced } from './overlap.js'
import { makePatches, type Change, type Patch } from './patch.js'
import type { PatchContext } from './patch-context.js'

type Shape = readonly number[]

/** A parameter that PEFT's `target_parameters` names. */
interface Parameter {
  /** Its name in the adapter's terms, for patterns of ranks. */
  readonly name: string
  /** The tensor of the model, or what messages call the layers that it has in its place. */
  readonly tensor: string
  readonly target: AdapterTarget | undefined
  readonly shape: Shape
  readonly layers?: readonly ExpertLayer[]
}

/** Below the first of several parameters of a module, PEFT has the next in its place. */
const INNER = /(?:\.base_layer)+$/

const ownerOf = (module: string): string => module.replace(INNER, '')

/** True for a module whose own parameters a config names, rather than layers. */
export const ownsParameters = (module: string, parameters: readonly string[]): boolean =>
  parameters.some((key) => {
    const owner = key.slice(0, Math.max(0, key.lastIndexOf('.')))
    return owner === '' || `.${ownerOf(module)}`.endsWith(`.${owner}`)
  })

/** The parameters of a module that a config names and the model has. */
const parametersOf = (owner: string, names: AdapterNames, making: PatchContext): readonly Parameter[] => {
  const found = new Map<string, Parameter>()
  for (const key of making.parameters) {
    if (!ownsParameters(owner, [key])) continue
    const own = key.slice(key.lastIndexOf('.') + 1)
    const name = `${owner}.${own}`
    const [target, ...others] = names.get(name.endsWith('.weight') ? owner : name) ?? []
    const separate = target === undefined ? separateExperts(owner, own, names, making.tensors) : undefined
    if (separate !== undefined) {
      const { title, shape, layers } = separate
      found.set(title, { name, tensor: title, target: undefined, shape, layers })
      continue
    }
    const tensor = target?.weight
    const shape = tensor === undefined ? undefined : making.tensors.get(tensor)?.shape
    if (target === undefined || tensor === undefined || shape === undefined || others.length > 0) continue
    if (shape.length === 2 || shape.length === 3) found.set(tensor, { name, tensor, target, shape })
  }
  return [...found.values()]
}

const sidesOf = ({ tensors }: AdapterModule): readonly [up: Shape, down: Shape] => [
  tensors.get('up')!.shape,
  tensors.get('down')!.shape,
]

/** The orders of the axes in which a module's factors fit a parameter; true for [experts, inputs, outputs]. */
const ordersOf = (module: AdapterModule, { shape }: Parameter): readonly boolean[] => {
  const [[outputs, all, ...more], [same, inputs, ...rest]] = sidesOf(module)
  const [experts = 1, rows, columns] = shape.length === 3 ? shape : [1, ...shape]
  if (all !== same || all! % experts !== 0 || more.length + rest.length > 0) return []
  return [false, true].filter((turned) =>
    turned ? shape.length === 3 && inputs === rows && outputs === columns : inputs === columns && outputs === rows,
  )
}

type Pair = readonly [module: AdapterModule, parameter: Parameter]

const fitting = (module: AdapterModule, parameters: readonly Parameter[]): readonly Parameter[] =>
  parameters.filter((parameter) => ordersOf(module, parameter).length > 0)

/** The ways to give each module a parameter of its own that its factors fit, one by one: there may be very many. */
function* pairings(modules: readonly AdapterModule[], parameters: readonly Parameter[]): Generator<readonly Pair[]> {
  const [module, ...rest] = modules
  if (module === undefined) return yield []
  for (const parameter of fitting(module, parameters)) {
    const others = parameters.filter((other) => other !== parameter)
    for (const pairs of pairings(rest, others)) yield [[module, parameter], ...pairs]
  }
}

/** The first two of {@link pairings}, begun with the modules that fit the fewest parameters. */
const firstPairings = (
  modules: readonly AdapterModule[],
  parameters: readonly Parameter[],
): readonly (readonly Pair[])[] => {
  const choices = (module: AdapterModule): number => fitting(module, parameters).length
  const sorted = [...modules].sort((x, y) => choices(x) - choices(y))
  const [first, second] = pairings(sorted, parameters)
  return [first, second].filter((pairs) => pairs !== undefined)
}

/** True where the biases beside a parameter say that its outputs are its last axis. */
const outputsAreLast = ({ tensor }: Parameter, tensors: PatchContext['tensors']): boolean => {
  const inside = tensor.slice(0, tensor.lastIndexOf('.') + 1)
  return [...tensors].some(([name, { shape }]) => {
    if (!name.startsWith(inside) || shape.length !== 3 || shape[1] === shape[2]) return false
    const bias = tensors.get(`${name}_bias`)?.shape
    return bias?.length === 2 && bias[0] === shape[0] && bias[1] === shape[2]
  })
}

const isThreefold = ([, { shape }]: Pair): boolean => shape.length === 3

/** The order of the axes of each parameter; those of one module have the same, and a square one does not tell. */
const turnedOf = (pair: Pair, pairs: readonly Pair[], tensors: PatchContext['tensors']): boolean | undefined => {
  const orders = ordersOf(...pair)
  if (orders.length === 1) return orders[0]
  const told = pairs
    .filter(isThreefold)
    .map((other) => ordersOf(...other))
    .find((known) => known.length === 1)
  if (told !== undefined) return told[0]
  return outputsAreLast(pair[1], tensors) ? true : undefined
}

type Aimed = readonly [tensor: string, sourced: Sourced]

const patchPair = (pair: Pair, pairs: readonly Pair[], making: PatchContext): Result<readonly Aimed[]> => {
  const [module, { name, tensor, target, shape, layers }] = pair
  const { at, adapter, model } = making
  const called: AdapterModule = { ...module, name }
  const aimed = (weight: string, patch: Patch): Aimed => [weight, { module: module.name, patch }]
  if (target !== undefined && shape.length === 2) {
    const made = makePatches(called, target, making)
    return made.type === 'failed' ? made : ok(made.value.aimed.map(({ patch }) => aimed(tensor, patch)))
  }
  const [up, down] = [module.tensors.get('up')!, module.tensors.get('down')!]
  const odd = [up, down].find(({ dtype }) => !isFloat(dtype))
  if (odd !== undefined) return failed(factorDtype(at, odd.name, adapter, odd.dtype))
  const weights = layers?.map(({ weight }) => weight) ?? [tensor]
  const whole = weights.find((weight) => !isFloat(making.tensors.get(weight)!.dtype))
  if (whole !== undefined) return failed(factorDtype(at, whole, model, making.tensors.get(whole)!.dtype))
  const turned = turnedOf(pair, pairs, making.tensors)
  if (turned === undefined) return failed(say.parameterSquare(at, adapter, module.name, tensor, shape))
  const [experts = 1] = shape
  const rank = down.shape[0]! / experts
  if (rank === 0) return failed(rankZero(at, adapter, module.name))
  const scale = making.scaleOf(called, rank)
  if (scale.type === 'failed') return scale
  const of: ExpertFactors = { up, down, experts, turned }
  const patch = (text: boolean, change: Change): Patch => ({ text, rows: undefined, rank, change })
  if (layers === undefined) return ok([aimed(tensor, patch(target!.text, { type: 'experts', scale: scale.value, of }))])
  return ok(
    layers.map(({ weight, target: own, expert, first }) => {
      const [rows = 0] = making.tensors.get(weight)!.shape
      const terms = [[partOfExpert(of, expert, first, rows)]]
      return aimed(weight, patch(own.text, { type: 'products', scale: scale.value, terms, lengths: undefined }))
    }),
  )
}

/** Patches of parameters that a config names, for modules that own some; the modules that own none are left. */
export const patchParameters = (
  modules: readonly AdapterModule[],
  names: AdapterNames,
  making: PatchContext,
): { readonly patched: Patched; readonly rest: readonly AdapterModule[] } => {
  const owned = new Map<string, { readonly parameters: readonly Parameter[]; readonly modules: AdapterModule[] }>()
  const rest = modules.filter((module) => {
    const owner = ownerOf(module.name)
    const known = owned.get(owner) ?? { parameters: parametersOf(owner, names, making), modules: [] }
    if (known.parameters.length === 0) return true
    owned.set(owner, known)
    known.modules.push(module)
    return false
  })
  const patches: Aimed[] = []
  const problems: Diagnostic[] = []
  for (const [owner, { parameters, modules: own }] of owned) {
    const pairs = pair(owner, own, parameters, making)
    if (pairs.type === 'failed') append(problems, pairs.diagnostics)
    else
      for (const one of pairs.value) {
        const made = patchPair(one, pairs.value, making)
        if (made.type === 'failed') append(problems, made.diagnostics)
        else append(patches, made.value)
      }
  }
  return { patched: { patches, unmatched: [], problems }, rest }
}

/** The parameter of each module, which the shapes of its factors tell. */
const pair = (
  owner: string,
  modules: readonly AdapterModule[],
  parameters: readonly Parameter[],
  { at, adapter }: PatchContext,
): Result<readonly Pair[]> => {
  const other = modules.find(({ tensors }) => tensors.size !== 2 || !tensors.has('up') || !tensors.has('down'))
  if (other !== undefined) return failed(twoKinds(at, adapter, other.name))
  const found = firstPairings(modules, parameters)
  const known = parameters.map(({ tensor, shape }) => ({ tensor, shape }))
  if (found.length === 1) return ok(found[0]!)
  return failed(
    found.length === 0
      ? say.parameterUnfit(at, adapter, owner, modules.map(sidesOf), known)
      : say.parametersAlike(at, adapter, owner, known),
  )
}
