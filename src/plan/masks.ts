import type { Digest } from '../base/digest.js'
import { append } from '../base/lists.js'
import { argumentsOf, isMeasure, type Expression, type Mask } from '../graph/expression.js'
import type { HeldIn } from '../graph/assemble.js'
import { walk } from '../graph/walk.js'
import { bytesOfBits, type StoredMask } from '../store/masks.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import { elementsOf, subjectOf, type Encoding } from './fingerprint.js'
import { ITSELF, type StandIns } from './stand-ins.js'

/**
 * The masks that are results of steps, by the id of the expression: which result of which step, and its name for the
 * tensor.
 */
export type KeepableMasks = Map<number, { readonly source: string; readonly tensor: string }>

/** A mask that is computed anyway and whose bits are written to the store for later builds. */
export interface KeptMask {
  readonly value: Mask
  /** Unique within its file. */
  readonly tensor: string
  readonly elements: number
  /** Index of the file among {@link PlannedMasks.files}, and the byte at which the bits begin. */
  readonly file: number
  readonly begin: number
}

/** The cached masks that a plan reads, and those that it adds. */
export interface PlannedMasks {
  /** Masks that are read instead of computed, and the expected digest of their bits. */
  readonly taken: readonly { readonly bits: TensorInfo; readonly expect: Digest }[]
  /** One file for each step with a mask to cache. */
  readonly files: readonly { readonly bytes: number }[]
}

/**
 * How the bits of an expensive mask enter fingerprints: as its elements, of which it has as many as the tensor it
 * reads.
 */
export const encodingOf = (mask: Mask): Encoding => ({
  elements: sizeOf(elementsOf(mask) ?? subjectOf(mask)?.shape ?? [0]),
  dtype: 'BOOL',
  allowNonFinite: false,
})

/** The masks of one plan: which are cached, and which are worth caching. */
export interface PlanMasks {
  /** The bits of a mask that an earlier build kept. */
  readonly heldIn: HeldIn
  taken(): PlannedMasks['taken']
  /**
   * The expensive masks that must be computed for some roots of one tensor: they come from its last pass, so caching
   * them needs no further one. A mask is expensive if it needs passes over stored tensors before it can be computed,
   * other expensive masks not counted.
   */
  wanted(roots: readonly Expression[]): readonly Mask[]
}

/** What computing an expression needs, apart from expensive masks below it: bits of a number. */
const [READS, MEASURES] = [1, 2]

/**
 * Finds out which masks are cached and which are expensive; `find` looks one up in the cache, and is left out where
 * nothing is cached.
 */
export const createMasks = (keepable: KeepableMasks, find?: (mask: Mask) => StoredMask | undefined): PlanMasks => {
  const costs = new Map<number, number>()
  const found = new Map<number, { readonly bits: TensorInfo; readonly expect: Digest } | undefined>()
  const settle = (e: Expression): void => {
    let cost = e.type === 'read' || e.type === 'read-mask' || e.type === 'product' ? READS : 0
    if (isMeasure(e)) cost |= MEASURES
    for (const a of argumentsOf(e)) if (!isExpensive(a)) cost |= costs.get(a.id)!
    costs.set(e.id, cost)
  }
  const visitor = { enter: (e: Expression): boolean => !costs.has(e.id), leave: settle }
  const costOf = (e: Expression): number => {
    if (!costs.has(e.id)) walk([e], visitor)
    return costs.get(e.id)!
  }
  const isExpensive = (e: Expression): e is Mask =>
    e.kind === 'mask' && keepable.has(e.id) && costOf(e) === (READS | MEASURES)
  const lookUp = (e: Expression) => {
    if (find === undefined || e.kind !== 'mask' || !keepable.has(e.id)) return undefined
    if (!found.has(e.id)) {
      const stored = isExpensive(e) ? find(e) : undefined
      found.set(e.id, stored === undefined ? undefined : { bits: infoOf(stored), expect: stored.digest })
    }
    return found.get(e.id)
  }
  const heldIn: HeldIn = (e) => lookUp(e)?.bits
  return {
    heldIn,
    taken: () => [...found.values()].filter((mask) => mask !== undefined),
    wanted: (roots) => {
      const seen = new Set<number>()
      const masks: Mask[] = []
      if (keepable.size > 0)
        walk(roots, {
          enter: (e) => {
            if (e.kind === 'scalar' || seen.has(e.id) || heldIn(e) !== undefined) return false
            seen.add(e.id)
            if (isExpensive(e)) masks.push(e)
            return true
          },
        })
      return masks
    },
  }
}

const infoOf = ({ path, tensor, begin, elements }: StoredMask): TensorInfo => ({
  name: tensor,
  dtype: 'BOOL',
  shape: [elements],
  file: path,
  begin,
  end: begin + bytesOfBits(elements),
  packed: true,
})

/** The bits of each mask begin at a multiple of this, in bytes. */
const ALIGNMENT = 8

/** Lays masks out in one file for each step; steps that exceed the space are left out. */
export const layOutMasks = (
  masks: readonly { readonly value: Mask; readonly elements: number }[],
  keepable: KeepableMasks,
  room: { readonly step: number; readonly all: number },
  standIns: StandIns = ITSELF,
): { readonly kept: readonly KeptMask[]; readonly files: PlannedMasks['files'] } => {
  const steps = new Map<string, (typeof masks)[number][]>()
  for (const mask of masks) {
    const { source } = keepable.get(mask.value.id)!
    const own = steps.get(source) ?? []
    own.push(mask)
    steps.set(source, own)
  }
  const files: { readonly bytes: number }[] = []
  const kept: KeptMask[] = []
  let left = room.all
  for (const own of steps.values()) {
    let bytes = 0
    const places = own.map(({ value, elements }): KeptMask => {
      const [begin, { tensor }] = [bytes, keepable.get(value.id)!]
      bytes += standIns.count(tensor) * Math.ceil(bytesOfBits(elements) / ALIGNMENT) * ALIGNMENT
      return { value, tensor, elements, file: files.length, begin }
    })
    if (bytes > Math.min(room.step, left)) continue
    left -= bytes
    files.push({ bytes })
    append(kept, places)
  }
  return { kept, files }
}
