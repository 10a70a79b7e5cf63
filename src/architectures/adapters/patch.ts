import { badSide, deltaShape, factorDtype, factorMissing, rearranged, twoKinds } from '../../base/catalogue/adapters.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { append } from '../../base/lists.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { KroneckerFactors } from '../../graph/products.js'
import { isFloat } from '../../tensor/dtype.js'
import type { TensorInfo } from '../../tensor/info.js'
import { wholeOf, type View } from '../../tensor/view.js'
import type { ExpertFactors, StackedExperts } from './experts.js'
import { factorsOf, makeTerms, rankOf, type Terms } from './factors.js'
import { makeInputRotation, type InputRotation } from './input-rotation.js'
import { makeGeneralised, type Generalised } from './generalised.js'
import { isShape, isWholeTarget, layOut, placedNumbers } from './laid.js'
import { linesOf, makeMagnitude, makeStretch, type Lines, type Stretch } from './magnitude.js'
import type { AdapterModule, Role } from './modules.js'
import type { AdapterTarget } from './names.js'
import type { PatchContext } from './patch-context.js'
import { makeRotation, type Rotation } from './rotation.js'
import type { Rows } from './spelling.js'

/** What an adapter does to one tensor at strength 1. */
export type Change =
  /** It replaces the tensor, or rows of it: the result is exactly these numbers, of a part at their places. */
  | { readonly type: 'replace'; readonly of: View | KroneckerFactors }
  /** It adds stored numbers. */
  | { readonly type: 'stored'; readonly scale: number; readonly of: View }
  /** It adds products; with lengths, the rows or columns of the sum are then brought to these (DoRA). */
  | { readonly type: 'products'; readonly scale: number; readonly terms: Terms; readonly lengths: Lines | undefined }
  /** It adds products, one for each expert. */
  | { readonly type: 'experts'; readonly scale: number; readonly of: ExpertFactors }
  /** It adds products of experts that the adapter has one by one. */
  | { readonly type: 'stacked'; readonly scale: number; readonly of: StackedExperts }
  /** It multiplies rows or columns ((IA)³). */
  | { readonly type: 'stretch'; readonly by: Stretch }
  /** It turns rows (OFT, BOFT). */
  | { readonly type: 'rotate'; readonly by: Rotation }
  /** It turns columns, and then multiplies rows (OFT and BOFT of PEFT). */
  | { readonly type: 'rotate-inputs'; readonly by: InputRotation }
  /** It adds a product, and one of the tensor itself (GLoRA). */
  | { readonly type: 'generalised'; readonly scale: number; readonly of: Generalised }

/** Tensors that an adapter has as one, whose rows follow one another. */
export interface Joined {
  readonly tensors: readonly { readonly name: string; readonly shape: readonly number[] }[]
  /** The shape of all of them together. */
  readonly shape: readonly number[]
  /** The row of it where the one that is changed begins. */
  readonly first: number
}

/** A change of one tensor, or of some of its rows. */
export interface Patch {
  /** True in a text encoder. */
  readonly text: boolean
  /** All rows unless given. */
  readonly rows: Rows | undefined
  /** That of its factors, where it has any. */
  readonly rank?: number | undefined
  /** Given where the change is one of several tensors together, which none of them tells alone. */
  readonly joined?: Joined | undefined
  readonly change: Change
}

/** A patch and the tensor of the model that it is for. */
export interface Aimed {
  readonly tensor: string
  readonly patch: Patch
}

/** What is made of one module: its patches, and those of its tensors that have no target. */
export interface Made {
  readonly aimed: readonly Aimed[]
  readonly unmatched: readonly string[]
}

/**
 * Makes the patches of one module, or reports what is wrong with its tensors. `targets` are all that the module is for,
 * if those are several layers.
 */
export const makePatches = (
  module: AdapterModule,
  target: AdapterTarget,
  making: PatchContext,
  targets: readonly AdapterTarget[] = [target],
): Result<Made> => {
  const { adapter, at, tensors, model } = making
  const odd = [...module.tensors].find(
    ([role, { dtype }]) => role !== 'alpha' && role !== 'on-input' && role !== 'reshape' && !isFloat(dtype),
  )?.[1]
  if (odd !== undefined) return failed(factorDtype(at, odd.name, adapter, odd.dtype))
  const weight = target.weight === undefined ? undefined : tensors.get(target.weight)
  const joined = weight === undefined ? undefined : joinedOf(module, target, targets, tensors)
  const changes = weight === undefined ? ok([]) : changesOf(module, target, weight.shape, making, joined)
  if (changes.type === 'failed') return changes
  if (weight !== undefined && changes.value.length > 0 && !isFloat(weight.dtype))
    return failed(factorDtype(at, target.weight!, model, weight.dtype))
  const scale = scaleOf(module, making)
  if (scale.type === 'failed') return scale

  const stored = storedPatches(module, target, scale.value, making)
  if (stored.type === 'failed') return stored
  const { text, rows } = target
  const patch = (change: Change): Patch => ({ text, rows, rank: rankOf(module), joined, change })
  const aimed = changes.value.map((change): Aimed => ({ tensor: target.weight!, patch: patch(change) }))
  append(aimed, biasOf(changes.value, module, target, making))
  append(aimed, stored.value.aimed)
  const unmatched = weight === undefined ? weightTensors(module).map(({ name }) => name) : []
  append(unmatched, stored.value.unmatched)
  return ok({ aimed, unmatched })
}

/** The tensors of a module that change a weight, whatever their kind. */
const weightTensors = ({ tensors }: AdapterModule): readonly TensorInfo[] =>
  [...tensors].filter(([role]) => !OF_NO_WEIGHT.includes(role)).map(([, info]) => info)

const OF_NO_WEIGHT: readonly Role[] = ['alpha', 'diff', 'diff-bias', 'up-bias']

const scaleOf = (module: AdapterModule, making: PatchContext, rank = rankOf(module)): Result<number> =>
  rank === undefined && factorsOf(module).length === 0 ? ok(1) : making.scaleOf(module, rank)

/**
 * The tensors that a module has as one, where it mixes the rows of all of them, or gives their columns a length together;
 * undefined where each can be changed by itself.
 */
const joinedOf = (
  { tensors: own }: AdapterModule,
  { part }: AdapterTarget,
  targets: readonly AdapterTarget[],
  tensors: PatchContext['tensors'],
): Joined | undefined => {
  if (part === undefined) return undefined
  const all = [...targets]
    .sort((x, y) => x.part!.first - y.part!.first)
    .map(({ weight }) => ({ name: weight!, shape: tensors.get(weight!)!.shape }))
  const inner = all[0]!.shape.slice(1)
  const lengths = own.get('magnitude')
  const isJoint = own.has('blocks') || (lengths !== undefined && isShape(lengths.shape, [1, inner[0] ?? 1]))
  return isJoint ? { tensors: all, shape: [part.of, ...inner], first: part.first } : undefined
}

/** The change of a module's weight, or of those that are joined for it: one of some kind, or none. */
const changesOf = (
  module: AdapterModule,
  target: AdapterTarget,
  stored: readonly number[],
  making: PatchContext,
  joined: Joined | undefined,
): Result<readonly Change[]> => {
  const { adapter, at } = making
  // Adapters have embeddings, and layers that store their weights transposed, the other way round.
  const turned =
    (target.change === 'transposed') !==
    (module.embedding || (making.inputsFirst(target.weight!, sidesOf(module)) && !module.tensors.has('embedding-skew')))
  const isUnlike = ({ shape }: Joined['tensors'][number]): boolean =>
    shape.slice(1).join() !== joined?.shape.slice(1).join()
  if (target.part !== undefined && (turned || joined?.tensors.some(isUnlike) === true))
    return failed(rearranged(at, adapter, module.name, target.weight!))
  const laid =
    joined === undefined
      ? layOut(target.weight!, stored, target, turned)
      : layOut(target.weight!, joined.shape, { ...target, part: undefined })
  const terms = makeTerms(module, laid, making)
  if (terms.type === 'failed') return terms
  const lengths = makeMagnitude(module, laid, making)
  if (lengths.type === 'failed') return lengths
  const flag = module.tensors.get('on-input')
  const side = flag === undefined ? 0 : making.numberOf(flag)
  if (side !== 0 && side !== 1) return failed(badSide(at, adapter, flag!.name, side))
  const stretch = makeStretch(module, laid, making, side === 1)
  if (stretch.type === 'failed') return stretch
  const rotation = makeRotation(module, laid, making)
  if (rotation.type === 'failed') return rotation
  const inputs = makeInputRotation(module, laid, making)
  if (inputs.type === 'failed') return inputs
  const generalised = makeGeneralised(module, laid, making)
  if (generalised.type === 'failed') return generalised

  const kinds = [terms.value.length > 0, stretch.value, rotation.value, inputs.value, generalised.value].filter(Boolean)
  // Of two kinds of factors no trainer makes one change.
  if (kinds.length > 1 || terms.value.length > 1) return failed(twoKinds(at, adapter, module.name))
  if (lengths.value !== undefined && terms.value.length === 0)
    return failed(
      kinds.length > 0 ? twoKinds(at, adapter, module.name) : factorMissing(at, adapter, module.name, ['factors']),
    )
  const scale = scaleOf(module, making, generalised.value?.rank ?? rankOf(module))
  if (scale.type === 'failed') return scale
  if (terms.value.length > 0)
    return ok([{ type: 'products', scale: scale.value, terms: terms.value, lengths: lengths.value }])
  if (stretch.value !== undefined) return ok([{ type: 'stretch', by: stretch.value }])
  if (rotation.value !== undefined) return ok([{ type: 'rotate', by: rotation.value }])
  if (inputs.value !== undefined) return ok([{ type: 'rotate-inputs', by: inputs.value }])
  if (generalised.value !== undefined) return ok([{ type: 'generalised', scale: scale.value, of: generalised.value }])
  return ok([])
}

/** The outputs and inputs of a layer that a pair of matrices changes. */
const sidesOf = ({ tensors }: AdapterModule): readonly [number, number] | undefined => {
  const [up, down] = [tensors.get('up')?.shape, tensors.get('down')?.shape]
  return up?.length === 2 && down?.length === 2 ? [up[0]!, down[1]!] : undefined
}

/** PEFT multiplies the bias of a layer along with its rows. */
const biasOf = (
  changes: readonly Change[],
  module: AdapterModule,
  { bias, text, ...target }: AdapterTarget,
  { tensors }: PatchContext,
): readonly Aimed[] => {
  const slot = bias === undefined ? undefined : tensors.get(bias)
  return changes.flatMap((c): Aimed[] => {
    if (slot === undefined || c.type !== 'stretch' || c.by.neutral === 0 || c.by.side === 'input') return []
    const lines = linesOf(module.tensors.get('whole-factor')!, 'output', layOut(bias!, slot.shape, target))
    return [
      { tensor: bias!, patch: { text, rows: target.rows, change: { type: 'stretch', by: { ...c.by, ...lines } } } },
    ]
  })
}

/** A stored difference before it is known whether it fits. */
interface Delta {
  readonly tensor: string | undefined
  readonly info: TensorInfo
  readonly scale: number
}

/** Stored differences, which are added unscaled, except the bias of a second factor, which has that factor's scale. */
const storedPatches = (
  module: AdapterModule,
  target: AdapterTarget,
  scale: number,
  making: PatchContext,
): Result<Made> => {
  const { adapter, at, tensors, model, architectureMismatch } = making
  const aimed: Aimed[] = []
  const unmatched: string[] = []
  const problems: Diagnostic[] = []
  for (const { tensor, info, scale: by } of deltasOf(module, target, scale)) {
    const slot = tensor === undefined ? undefined : tensors.get(tensor)
    if (tensor === undefined || slot === undefined) {
      unmatched.push(info.name)
      continue
    }
    const laid = layOut(tensor, slot.shape, target, target.change === 'transposed' && slot.shape.length > 1)
    const whole = isWholeTarget(target)
    if (whole ? info.shape.join() !== slot.shape.join() : !isShape(info.shape, laid.shape))
      problems.push(
        deltaShape(at, adapter, info.name, info.shape, tensor, slot.shape, architectureMismatch, target.rows),
      )
    else if (!isFloat(slot.dtype)) problems.push(factorDtype(at, tensor, model, slot.dtype))
    else {
      const change: Change = whole
        ? { type: 'stored', scale: by, of: wholeOf(info) }
        : { type: 'products', scale: by, terms: [[placedNumbers(info, laid)]], lengths: undefined }
      aimed.push({ tensor, patch: { text: target.text, rows: target.rows, change } })
    }
  }
  return problems.length > 0 ? failed(...problems) : ok({ aimed, unmatched })
}

const deltasOf = ({ tensors }: AdapterModule, { weight, bias }: AdapterTarget, scale: number): readonly Delta[] =>
  (
    [
      ['diff', weight, 1],
      ['diff-bias', bias, 1],
      ['up-bias', bias, scale],
    ] as const
  ).flatMap(([role, tensor, by]): Delta[] => {
    const info = tensors.get(role)
    return info === undefined ? [] : [{ tensor, info, scale: by }]
  })
