// Models with tensors of awkward sizes and values, made where they are needed: seeded, so that every machine has the
// same.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { joinRecipes } from './join-cases.mjs'
import { BYTES, encodeNumbers, sizeOf, writeFile } from './safetensors.mjs'
import { sizedCases } from './sized-recipes.mjs'

/** Sizes that cross a segment by one, that no power of two divides, one element, and none. */
const SHAPES = {
  long: [2 ** 20 + 1],
  odd: [524_287],
  'layers.0.weight': [1021, 1031],
  'layers.1.conv.weight': [61, 7, 3, 3],
  'layers.2.bias': [4099],
  row: [1, 4099],
  column: [4099, 1],
  one: [1],
  scalar: [],
  none: [0],
  hollow: [3, 0, 5],
}

/** One tensor larger than any segment that a device may use. */
const LARGE = { 'embedding.weight': [5003, 4099] }
const MEETINGS = { 'meetings.weight': [81, 81], 'meetings.bias': [6561] }
const FEW = { 'layers.0.weight': [67, 131], odd: [4097], one: [1], none: [0] }

const createRandom = (seed) => {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x85ebca6b) | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

/**
 * Roughly normal values of a trained model's size; the models of one file name lie near each other, and one value in
 * eight is equal in all.
 */
const weights = (size, seed) => {
  const [common, own] = [createRandom(7), createRandom(seed)]
  return Float32Array.from({ length: size }, () => {
    const base = (common() / 2 ** 32 + common() / 2 ** 32 + common() / 2 ** 32 - 1.5) * 0.08
    const step = own()
    return seed === 0 || step % 8 === 0 ? base : base + ((step >>> 8) / 2 ** 24 - 0.5) * 0.01
  })
}

/**
 * Every bit pattern of the narrow dtypes, and as many of the wide ones, with their first and last numbers, infinities,
 * NaNs and zeros.
 */
const patterns = (dtype, size, seed) => {
  const next = createRandom(seed + 100)
  if (dtype === 'F64') {
    const special = [
      0n,
      1n << 63n,
      1n,
      0x7ff0000000000000n,
      0xfff0000000000000n,
      0x7ff8000000000000n,
      0xfff8000000000001n,
      0x7fefffffffffffffn,
      0x36a0000000000000n,
      0x47efffffe0000000n,
    ]
    return new Uint8Array(
      BigUint64Array.from({ length: size }, (_, i) => special[i] ?? (BigInt(next()) << 32n) | BigInt(next())).buffer,
    )
  }
  if (dtype === 'F32') {
    const special = [
      0, 0x80000000, 1, 0x80000001, 0x7fffff, 0x800000, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001,
      0x7f800001, 0x477fe000, 0x477ff000, 0x38800000, 0x33000000,
    ]
    return new Uint8Array(Uint32Array.from({ length: size }, (_, i) => special[i] ?? next()).buffer)
  }
  // Each model meets the patterns in another order, so that all kinds of numbers meet.
  const step = [1, 40_503, 12_345, 54_321][seed % 4] | 1
  return BYTES[dtype] === 2
    ? new Uint8Array(Uint16Array.from({ length: size }, (_, i) => Math.imul(i, step) + seed).buffer)
    : Uint8Array.from({ length: size }, (_, i) => Math.imul(i, step) + (seed === 0 ? 0 : i >> 8) + seed)
}

/** The least number above 0 of each dtype; that of F32 for F64, whose own is 0 in float32. */
const LEAST = { F64: 2 ** -149, F32: 2 ** -149, F16: 2 ** -24, BF16: 2 ** -133, F8_E4M3: 2 ** -9, F8_E5M2: 2 ** -16 }

/** Nine numbers that take turns in each model at another pace, so that in 9⁴ elements every four of them meet. */
const meetings = (dtype, size, seed, odd) => {
  const least = LEAST[dtype]
  const met = [0, -0, 1, -1, least, -0.5, ...(odd ? [NaN, Infinity, -Infinity] : [-least, 0.5, 2])]
  return Float64Array.from({ length: size }, (_, i) => met[Math.floor(i / 9 ** seed) % 9])
}

const bytesOf = (name, dtype, shape, seed, odd) => {
  const size = sizeOf(shape)
  if (name.startsWith('meetings')) return encodeNumbers(dtype, meetings(dtype, size, seed, odd))
  return odd ? patterns(dtype, size, seed) : encodeNumbers(dtype, weights(size, seed))
}

const adapterOf = (shapes) => {
  const [rows, columns] = shapes['layers.0.weight'] ?? [1, 1]
  const factor = (shape, seed) => ({ dtype: 'F32', shape, bytes: encodeNumbers('F32', weights(sizeOf(shape), seed)) })
  return shapes['layers.0.weight'] === undefined
    ? undefined
    : {
        'layers.0.lora_up.weight': factor([rows, 8], 20),
        'layers.0.lora_down.weight': factor([8, columns], 21),
        'layers.0.alpha': { dtype: 'F32', shape: [], bytes: encodeNumbers('F32', [4]) },
      }
}

const writeModels = (folder, shapes, dtype, odd) => {
  mkdirSync(folder, { recursive: true })
  for (const [seed, model] of ['base', 'a', 'b', 'c'].entries()) {
    const floats = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [
        name,
        { dtype, shape, bytes: bytesOf(name, dtype, shape, seed, odd) },
      ]),
    )
    const ids = {
      dtype: 'I64',
      shape: [77],
      bytes: encodeNumbers(
        'I64',
        Array.from({ length: 77 }, (_, i) => i),
      ),
    }
    writeFile(join(folder, `${model}.safetensors`), { ...floats, 'position.ids': ids })
  }
  const adapter = adapterOf(shapes)
  if (adapter !== undefined) writeFile(join(folder, 'ink.safetensors'), adapter)
  return adapter !== undefined
}

/** The sets: sizes in a dtype, one large tensor, and every bit pattern, where what is not finite is let through. */
const SETS = [
  { name: 'sizes-f16', title: 'awkward sizes of F16', shapes: SHAPES, stored: 'F16' },
  { name: 'sizes-bf16', title: 'awkward sizes of BF16', shapes: SHAPES, stored: 'BF16' },
  { name: 'sizes-f32-bf16', title: 'awkward sizes of F32, output bf16', shapes: SHAPES, stored: 'F32', dtype: 'bf16' },
  { name: 'sizes-f64', title: 'awkward sizes of F64', shapes: SHAPES, stored: 'F64' },
  { name: 'sizes-f8_e4m3', title: 'awkward sizes of F8_E4M3', shapes: SHAPES, stored: 'F8_E4M3' },
  {
    name: 'large-f16',
    title: 'a tensor of 20 million elements of F16',
    shapes: LARGE,
    stored: 'F16',
    only: ['linear', 'blend_slerp', 'ties', 'dare', 'dare_ties', 'masked_lerp', 'noise'],
  },
  {
    name: 'large-bf16',
    title: 'a tensor of 20 million elements of BF16',
    shapes: LARGE,
    stored: 'BF16',
    only: ['linear', 'blend_slerp', 'dare_ties'],
  },
  ...['F32', 'F16', 'BF16', 'F64', 'F8_E4M3', 'F8_E5M2'].map((stored) => ({
    name: `patterns-${stored.toLowerCase()}`,
    title: `every kind of number of ${stored}, also such as are not finite`,
    shapes: { ...FEW, ...MEETINGS, patterns: [65_536] },
    stored,
    odd: true,
  })),
  ...['F32', 'F16', 'BF16', 'F64', 'F8_E4M3', 'F8_E5M2'].map((stored) => ({
    name: `meetings-${stored.toLowerCase()}`,
    title: `zeros of both signs, the least numbers and others of ${stored}, each with each`,
    shapes: { ...FEW, ...MEETINGS },
    stored,
  })),
  {
    name: 'refused-f16',
    title: 'what cannot be ordered is refused',
    shapes: FEW,
    stored: 'F16',
    odd: true,
    only: ['ties', 'mask_magnitude'],
  },
]
/** Operators that order magnitudes, and so refuse what is not a number: on every device alike. */
const ORDERING = ['merge.ties', 'merge.breadcrumbs', 'merge.breadcrumbs_ties', 'mask.magnitude']
const QUICK = new Set([
  'sizes-f16',
  'sizes-f32-bf16',
  'large-f16',
  'patterns-f32',
  'patterns-bf16',
  'patterns-f16',
  'meetings-f32',
  'meetings-f16',
  'meetings-bf16',
])

/** Writes the sets below a folder, each with its models and its recipe. */
export const writeSized = (folder, { quick = false } = {}) => {
  for (const { name, title, shapes, stored, dtype, odd = false, only } of SETS.filter(
    (set) => !quick || QUICK.has(set.name),
  )) {
    const place = join(folder, name)
    const hasAdapter = writeModels(place, shapes, stored, odd)
    const cases = sizedCases(only).filter(
      ({ operators }) =>
        (hasAdapter || !operators.includes('adapter.apply')) &&
        (!odd || only !== undefined || !operators.some((op) => ORDERING.includes(op))),
    )
    const masks = ({ operators }) => operators.at(-1).startsWith('mask.')
    const recipe = joinRecipes(
      cases.map((one) => ({
        ...one,
        ...(dtype === undefined || masks(one) ? {} : { dtype }),
        ...(masks(one) || (!odd && !stored.startsWith('F8')) ? {} : { nonFinite: 'allow' }),
      })),
      { shared: true },
    )
    if (!hasAdapter) delete recipe.adapters
    writeFileSync(join(place, 'recipe.yaml'), JSON.stringify(recipe))
    writeFileSync(
      join(place, 'cases.json'),
      JSON.stringify({
        title,
        cases: Object.fromEntries(
          cases.map((one, i) => [`c${i}`, { name: one.name, operators: [...new Set(one.operators)] }]),
        ),
      }),
    )
  }
}
