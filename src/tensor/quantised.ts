import { schemes } from '../base/catalogue/quantised.js'
import { blockCount, type BlockGrid } from './block-grid.js'
import { isFloat, type Dtype } from './dtype.js'
import { sizeOf, type TensorInfo } from './info.js'

/** A tensor whose numbers are the stored ones times a scale for each block. */
export interface Scaled {
  readonly stored: TensorInfo
  /** One factor for each block, in the order of the blocks. */
  readonly scale: TensorInfo
  readonly grid: BlockGrid
  /**
   * Other tensors that belong to it, such as the scale of its inputs: never computed with, and copied with the stored
   * form.
   */
  readonly others: readonly TensorInfo[]
  /** Marker tensors, which say that a part of the model is scaled. */
  readonly markers: readonly TensorInfo[]
  /** What its parts are called where they are written, by their names in the file; absent where those are kept. */
  readonly renamed?: ReadonlyMap<string, string>
}

/** True where new scales can be laid over a weight in the layout of the old ones. */
export const isRescalable = (scaled: Scaled | undefined): scaled is Scaled =>
  scaled?.stored.dtype === 'F8_E4M3' && sizeOf(scaled.stored.shape) > 0

/** Part of a tensor that is packed in a format that smelt cannot compute with. */
export interface Packed {
  /** The usual name of the format. */
  readonly scheme: string
  /** The name of the tensor in an unpacked model. */
  readonly weight: string
}

/**
 * The tensors of a model that have a meaning only together with others, by name. A name is in at most one of the three.
 */
export interface Quantised {
  readonly scaled: ReadonlyMap<string, Scaled>
  readonly packed: ReadonlyMap<string, Packed>
  /** Scales, markers and the like of scaled tensors: no tensors of their own. */
  readonly companions: ReadonlySet<string>
}

type Tensors = ReadonlyMap<string, TensorInfo>

/** The name endings of the parts of a packed weight, by format. */
const PACKED_ENDINGS: readonly (readonly [ending: string, scheme: string])[] = [
  ['.qweight', 'GPTQ or AWQ'],
  ['.SCB', 'bitsandbytes int8'],
  ['.weight_packed', 'compressed-tensors'],
  ['.W_q', 'HQQ'],
]

/** What else belongs to the weight of a module that is packed, behind the module's path. */
const PACKED_PARTS: ReadonlySet<string> = new Set([
  'qweight',
  'qzeros',
  'scales',
  'g_idx',
  'SCB',
  'weight_format',
  'weight_packed',
  'weight_scale',
  'weight_scale_2',
  'weight_scale_inv',
  'weight_shape',
  'weight_zero_point',
  'weight_g_idx',
  'weight_global_scale',
  'input_global_scale',
  'input_scale',
  'input_zero_point',
  'output_scale',
  'pre_quant_scale',
  'scale_weight',
  'scale_input',
  'comfy_quant',
  'weight_s_rel',
  'weight_s_channel',
  'weight_codebook',
  'W_q',
  'meta',
  'zero',
  'scale',
])

/**
 * What else belongs to a scaled weight, behind the module's path, or behind the name of a tensor that is no `.weight`.
 */
const SCALED_PARTS: ReadonlySet<string> = new Set([
  'scale_input',
  'input_scale',
  'output_scale',
  'activation_scale',
  'comfy_quant',
  'q_scale',
  'k_scale',
  'v_scale',
])

/** Tensors beside a scale that change its meaning, so that it is not just one factor for each block. */
const MORE_THAN_SCALE: ReadonlySet<string> = new Set([
  'weight_scale_2',
  'weight_zero_point',
  'weight_global_scale',
  'pre_quant_scale',
])

/** Dtypes of packed weights in an unknown format: nobody trains in these. */
const INTEGER_WEIGHTS: readonly Dtype[] = ['U8', 'I8', 'F4', 'F6_E2M3', 'F6_E3M2', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ']

const MARKER = 'scaled_fp8'
const isEightBitFloat = (dtype: Dtype): boolean => dtype === 'F8_E4M3' || dtype === 'F8_E5M2'

/**
 * The path of a weight's module, with the dot behind it; of a tensor that is no `.weight` its own name and an
 * underscore.
 */
const stemOf = (weight: string): string =>
  weight === 'weight' ? '' : weight.endsWith('.weight') ? weight.slice(0, -'weight'.length) : `${weight}_`

/** The weight that a scale is for, by the name of the scale. */
const weightOf = (name: string): string | undefined => {
  if (name === 'scale_weight' || name.endsWith('.scale_weight')) return `${name.slice(0, -'scale_weight'.length)}weight`
  return name.endsWith('_scale')
    ? name.slice(0, -'_scale'.length)
    : name.endsWith('_scale_inv')
      ? name.slice(0, -'_scale_inv'.length)
      : undefined
}

/**
 * The length of a block along an axis of `length` that has `count` of them; undefined where that cannot be told. Blocks
 * of 128 are what the field uses.
 */
const blockLength = (length: number, count: number): number | undefined => {
  if (count === 1) return length
  const fits = (block: number): boolean => Math.ceil(length / block) === count
  if (fits(128)) return 128
  const powers = Array.from({ length: 20 }, (_, i) => 2 ** i).filter(fits)
  const found = new Set([...powers, ...(length % count === 0 ? [length / count] : [])])
  return found.size === 1 ? [...found][0] : undefined
}

/**
 * The layout of a scale over a weight: one factor in all, one per row, or one for each block along the axes that both
 * have.
 */
const gridOf = (shape: readonly number[], scale: readonly number[]): BlockGrid | undefined => {
  const counts = scale.length < shape.length ? [...scale, ...shape.slice(scale.length).map(() => 1)] : scale
  if (sizeOf(scale) === 1) return { shape, blocks: shape }
  // One factor a row may be a vector of another length than the first axis only by mistake; a matrix has a count for
  // each axis.
  if (counts.length !== shape.length || (scale.length === 1 && scale[0] !== shape[0])) return undefined
  const blocks = shape.map((length, axis) => blockLength(length, counts[axis]!))
  return blocks.includes(undefined) ? undefined : { shape, blocks: blocks as number[] }
}

/** Tensors named `scaled_fp8`, by the path that they speak for. */
const markersIn = (tensors: Tensors): ReadonlyMap<string, TensorInfo> =>
  new Map(
    [...tensors.values()].flatMap((t) =>
      t.name === MARKER || t.name.endsWith(`.${MARKER}`) ? [[t.name.slice(0, -MARKER.length), t] as const] : [],
    ),
  )

/** What lies beside a weight, as far as it is one of some parts. */
type Beside = (weight: string, parts: ReadonlySet<string>) => readonly TensorInfo[]

/** Looks parts up by the path of their module: to try each name for each weight takes longer than all the rest. */
const createBeside = (tensors: Tensors): Beside => {
  let byPath: Map<string, TensorInfo[]> | undefined
  const index = (): Map<string, TensorInfo[]> => {
    const found = new Map<string, TensorInfo[]>()
    for (const info of tensors.values()) {
      const path = info.name.slice(0, info.name.lastIndexOf('.') + 1)
      const part = info.name.slice(path.length)
      if (!PACKED_PARTS.has(part) && !SCALED_PARTS.has(part)) continue
      const known = found.get(path)
      if (known === undefined) found.set(path, [info])
      else known.push(info)
    }
    return found
  }
  return (weight, parts) => {
    const stem = stemOf(weight)
    if (stem.endsWith('_')) return [...parts].flatMap((part) => tensors.get(stem + part) ?? [])
    byPath ??= index()
    return (byPath.get(stem) ?? []).filter(({ name }) => parts.has(name.slice(stem.length)))
  }
}

/** What bitsandbytes and quanto keep of a weight, below its name. */
const BELOW_WEIGHT = /^(.+\.weight)\.((?:nested_)?(?:absmax|quant_map)|quant_state\..+|_data|_scale|_shift)$/

/** Weights with parts below their names, and these. */
const findBelow = (tensors: Tensors): ReadonlyMap<string, readonly string[]> => {
  const found = new Map<string, string[]>()
  for (const name of tensors.keys()) {
    const weight = name.includes('.weight.') ? BELOW_WEIGHT.exec(name)?.[1] : undefined
    if (weight !== undefined) found.set(weight, [...(found.get(weight) ?? [weight]), name])
  }
  return found
}

const schemeBelow = (names: readonly string[]): string => {
  const mark = /\.(_data|quant_state\.\w+__(nf4|fp4))$/
  const found = names.map((name) => mark.exec(name)).find((match) => match !== null)
  return found === undefined ? 'bitsandbytes' : found[1] === '_data' ? 'quanto' : `bitsandbytes ${found[2]!}`
}

/** The packed weights of a model by the names of all their parts. */
const findPacked = (tensors: Tensors, beside: Beside): Map<string, Packed> => {
  const packed = new Map<string, Packed>()
  const add = (scheme: string, weight: string, names: readonly string[]): void => {
    for (const name of names) if (tensors.has(name)) packed.set(name, { scheme, weight })
  }
  for (const { name, dtype } of tensors.values()) {
    const ending = PACKED_ENDINGS.find(([text]) => name.endsWith(text))
    if (ending !== undefined) {
      const weight = `${name.slice(0, -ending[0].length)}.weight`
      add(ending[0] === '.qweight' ? packerOf(tensors, stemOf(weight)) : ending[1], weight, [
        weight,
        ...beside(weight, PACKED_PARTS).map((t) => t.name),
      ])
    } else if (dtype === 'U8' && name.endsWith('_blocks') && tensors.has(`${name.slice(0, -'blocks'.length)}scales`)) {
      const weight = name.slice(0, -'_blocks'.length)
      add('MXFP4', weight, [name, `${weight}_scales`])
    }
  }
  for (const [weight, names] of findBelow(tensors)) add(schemeBelow(names), weight, names)
  return packed
}

/** GPTQ packs along the inputs, AWQ along the outputs, of which there is a scale each. */
const packerOf = (tensors: Tensors, path: string): string => {
  if (tensors.has(`${path}g_idx`)) return 'GPTQ'
  const [weight, scales] = [tensors.get(`${path}qweight`)?.shape[1], tensors.get(`${path}scales`)?.shape.at(-1)]
  if (weight === undefined || scales === undefined) return 'GPTQ or AWQ'
  return weight === scales ? 'GPTQ' : 'AWQ'
}

/** What the integers of a weight are, by what lies beside them; undefined where they are no packed weight. */
const integerScheme = (tensors: Tensors, { name, dtype, shape }: TensorInfo): string | undefined => {
  if (isFloat(dtype) || !/(^|\.)weight$/.test(name)) return undefined
  const scale = tensors.get(`${name}_scale`)
  if (scale !== undefined)
    return tensors.has(`${name}_scale_2`) || scale.dtype === 'F8_E4M3' ? 'nvfp4' : `scaled ${dtype}`
  if (shape.length < 2 || !INTEGER_WEIGHTS.includes(dtype)) return undefined
  return /(^|\.)blk\.\d+\./.test(name) ? 'GGUF' : `packed ${dtype}`
}

/** What a name says of numbers that others are to be multiplied by, or shifted by, whatever wrote them. */
const SOUNDS_LIKE_SCALE = /scale|amax|absmax|zero_?point|zeros/i

/** Where a part of a weight may lie: beside it, or below its name. */
const belongsTo = (weight: string, path: string, name: string): boolean =>
  /^_?weight(?![a-z])/.test(weight.slice(path.length)) ||
  (name.startsWith(weight) && /^[._:]/.test(name.slice(weight.length)))

/**
 * Weights of 8-bit floats with something beside them that must be their scale, under a name that no format known here
 * gives it.
 */
const findUnknownScales = (
  tensors: Tensors,
  isKnown: (name: string) => boolean,
): (readonly [weight: TensorInfo, parts: readonly string[]])[] => {
  const weights = [...tensors.values()].filter(({ name, dtype }) => isEightBitFloat(dtype) && !isKnown(name))
  if (weights.length === 0) return []
  const byPath = new Map<string, TensorInfo[]>()
  const pathOf = (name: string): string => name.slice(0, name.lastIndexOf('.') + 1)
  for (const info of tensors.values()) {
    const path = pathOf(info.name)
    const part = info.name.slice(path.length)
    if (!SOUNDS_LIKE_SCALE.test(part) || SCALED_PARTS.has(part) || isEightBitFloat(info.dtype) || isKnown(info.name))
      continue
    const known = byPath.get(path)
    if (known === undefined) byPath.set(path, [info])
    else known.push(info)
  }
  return weights.flatMap((weight) => {
    const path = pathOf(weight.name)
    const near = [...(byPath.get(path) ?? []), ...(byPath.get(`${weight.name}.`) ?? [])]
    const parts = near.filter(
      ({ name, shape }) =>
        (sizeOf(shape) === 1 || sizeOf(shape) < sizeOf(weight.shape)) && belongsTo(weight.name, path, name),
    )
    return parts.length === 0 ? [] : [[weight, parts.map(({ name }) => name)] as const]
  })
}

/** Finds what of some tensors means something only together with others; undefined where nothing does. */
export const findQuantised = (tensors: Tensors): Quantised | undefined => {
  const beside = createBeside(tensors)
  const packed = findPacked(tensors, beside)
  const scaled = new Map<string, Scaled>()
  const markers = markersIn(tensors)
  const isMarked = (name: string): boolean => [...markers.keys()].some((path) => name.startsWith(path))
  const pack = (scheme: string, weight: string): void => {
    const names = [weight, `${weight}_scale`, `${weight}_scale_inv`, ...beside(weight, PACKED_PARTS).map((t) => t.name)]
    for (const name of names) if (tensors.has(name)) packed.set(name, { scheme, weight })
  }
  for (const info of tensors.values()) {
    const scheme = packed.has(info.name) ? undefined : integerScheme(tensors, info)
    if (scheme !== undefined) pack(scheme, info.name)
  }
  for (const scale of tensors.values()) {
    const weight = weightOf(scale.name)
    if (weight === undefined || packed.has(scale.name)) continue
    const stored = tensors.get(weight)
    const isNamedScale = weight === 'weight' || weight.endsWith('.weight')
    if (stored === undefined || !isFloat(stored.dtype)) {
      // A scale on its own is a weight no more than one with its numbers.
      if (stored === undefined && isNamedScale && (isMarked(scale.name) || !scale.name.endsWith('.scale_weight')))
        packed.set(scale.name, { scheme: schemes.loneScale, weight })
      continue
    }
    const isScaled = isEightBitFloat(stored.dtype) || (scale.name.endsWith('scale_weight') && isMarked(scale.name))
    if (!isScaled) {
      if (isNamedScale) pack(schemes.besideScale(stored.dtype), weight)
      continue
    }
    const grid = gridOf(stored.shape, scale.shape)
    const isFactor = isFloat(scale.dtype) || scale.dtype === 'F8_E8M0'
    const twice = scaled.has(weight)
    if (
      grid === undefined ||
      !isFactor ||
      blockCount(grid) !== sizeOf(scale.shape) ||
      twice ||
      beside(weight, MORE_THAN_SCALE).length > 0
    ) {
      scaled.delete(weight)
      pack(scale.dtype === 'U8' ? 'MXFP8' : schemes.unknownScales(stored.dtype), weight)
      continue
    }
    const others = beside(weight, SCALED_PARTS)
    const own = [...markers].filter(([path]) => weight.startsWith(path)).map(([, marker]) => marker)
    scaled.set(weight, { stored, scale, grid, others, markers: own })
  }
  for (const [{ name, dtype }, parts] of findUnknownScales(
    tensors,
    (known) => scaled.has(known) || packed.has(known),
  )) {
    for (const own of [name, ...parts]) packed.set(own, { scheme: schemes.unknownScales(dtype), weight: name })
  }
  if (scaled.size + packed.size === 0) return undefined
  // Only of what is scaled in the end: a copy writes companions with it, and everything else as it is.
  const companions = new Set(
    [...scaled.values()].flatMap(({ scale, others, markers: own }) => [scale, ...others, ...own].map((t) => t.name)),
  )
  return { scaled, packed, companions }
}
