import * as say from '../../base/catalogue/adapter-parameters.js'
import { factorDtype } from '../../base/catalogue/adapters.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { append, groupBy } from '../../base/lists.js'
import { failed, ok, type Result } from '../../base/result.js'
import { isFloat } from '../../tensor/dtype.js'
import { stackedTarget, type ExpertPair, type StackedTarget } from './experts.js'
import type { AdapterModule } from './modules.js'
import type { AdapterNames } from './names.js'
import type { Patched, Sourced } from './overlap.js'
import type { PatchContext } from './patch-context.js'

interface Found {
  readonly module: AdapterModule
  readonly place: StackedTarget
}

/** The orders of the axes in which a module's factors fit the parameter; true for [experts, inputs, outputs]. */
const ordersOf = ({ module, place }: Found, { tensors }: PatchContext): readonly boolean[] => {
  const [experts = 0, second, third, ...more] = tensors.get(place.tensor)!.shape
  const [[outputs = 0, rank, ...rest], [same, inputs, ...others]] = [
    module.tensors.get('up')!.shape,
    module.tensors.get('down')!.shape,
  ]
  if (rank !== same || more.length + rest.length + others.length > 0 || place.expert >= experts) return []
  const all = place.count * outputs
  return [false, true].filter((turned) =>
    turned ? second === inputs && third === all : second === all && third === inputs,
  )
}

/** A pair of factors, or what is wrong with it; `told` are the orders that other parameters of the module have. */
const pairOf = (
  found: Found,
  told: readonly boolean[],
  making: PatchContext,
): Result<ExpertPair & { turned: boolean }> => {
  const { module, place } = found
  const { at, adapter, tensors } = making
  const { shape } = tensors.get(place.tensor)!
  const [up, down] = [module.tensors.get('up'), module.tensors.get('down')]
  const other = [...module.tensors.keys()].find((role) => role !== 'up' && role !== 'down' && role !== 'alpha')
  if (up === undefined || down === undefined || other !== undefined)
    return failed(say.expertKind(at, adapter, module.name, place.tensor))
  const odd = [up, down].find(({ dtype }) => !isFloat(dtype))
  if (odd !== undefined) return failed(factorDtype(at, odd.name, adapter, odd.dtype))
  const orders = ordersOf(found, making)
  if (orders.length === 0)
    return failed(say.expertUnfit(at, adapter, module.name, [up.shape, down.shape], place.tensor, shape))
  const turned = orders.length === 1 ? orders[0] : told.length === 1 ? told[0] : undefined
  if (turned === undefined) return failed(say.parameterSquare(at, adapter, module.name, place.tensor, shape))
  const scale = making.scaleOf(module, down.shape[0])
  if (scale.type === 'failed') return scale
  const first = place.index * up.shape[0]!
  return ok({ up, down, expert: place.expert, first, scale: scale.value, turned })
}

/** Biases of gates and of what they are multiplied with lie in turns, as in gpt-oss: so do the outputs. */
const isInterleaved = ({ place }: Found, { tensors }: PatchContext): boolean =>
  place.count > 1 && tensors.has(`${place.tensor}_bias`)

const patchTensor = (all: readonly Found[], told: readonly boolean[], making: PatchContext): Result<Sourced> => {
  const { at, adapter, model, tensors } = making
  const { module, place } = all[0]!
  const { dtype } = tensors.get(place.tensor)!
  if (!isFloat(dtype)) return failed(factorDtype(at, place.tensor, model, dtype))
  if (isInterleaved(all[0]!, making)) return failed(say.expertsInterleaved(at, adapter, module.name, place.tensor))
  const made = all.map((found) => pairOf(found, told, making))
  const wrong = made.flatMap(({ diagnostics, type }) => (type === 'failed' ? diagnostics : []))
  if (wrong.length > 0) return failed(...wrong)
  const pairs = made.flatMap((pair) => (pair.type === 'ok' ? [pair.value] : []))
  const scales = new Set(pairs.map(({ scale }) => scale))
  // One scale for all is that of the change, as reports show it.
  const [scale, own] = scales.size === 1 ? [pairs[0]!.scale, false] : [1, true]
  const ranks = new Set(pairs.map(({ down }) => down.shape[0]))
  return ok({
    module: place.owner,
    patch: {
      text: place.target.text,
      rows: undefined,
      rank: ranks.size === 1 ? pairs[0]!.down.shape[0] : undefined,
      change: {
        type: 'stacked',
        scale,
        of: { pairs: pairs.map((pair) => (own ? pair : { ...pair, scale: 1 })), turned: pairs[0]!.turned },
      },
    },
  })
}

/** Patches of parameters that hold all experts, by modules of one expert each; other modules are left. */
export const patchStacked = (
  modules: readonly AdapterModule[],
  names: AdapterNames,
  making: PatchContext,
): { readonly patched: Patched; readonly rest: readonly AdapterModule[] } => {
  const found: Found[] = []
  const rest = modules.filter((module) => {
    const place = names.has(module.name) ? undefined : stackedTarget(module.name, names)
    if (place === undefined || making.tensors.get(place.tensor)!.shape.length !== 3) return true
    found.push({ module, place })
    return false
  })
  const patches: (readonly [string, Sourced])[] = []
  const problems: Diagnostic[] = []
  const isPair = ({ module }: Found): boolean => module.tensors.has('up') && module.tensors.has('down')
  for (const own of groupBy(found, ({ place }) => place.owner).values()) {
    // Where a parameter is square, another of the same experts shows the order.
    const told =
      own.map((one) => (isPair(one) ? ordersOf(one, making) : [])).find((orders) => orders.length === 1) ?? []
    for (const [tensor, all] of groupBy(own, ({ place }) => place.tensor)) {
      const made = patchTensor(all, told, making)
      if (made.type === 'failed') append(problems, made.diagnostics)
      else patches.push([tensor, made.value])
    }
  }
  return { patched: { patches, unmatched: [], problems }, rest }
}
