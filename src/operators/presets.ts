import type { Architecture } from '../architectures/detect.js'

/** A curve over the blocks: the number at `x`, where 0 is the first block and 1 the last. */
type Curve = (x: number) => number

interface Preset {
  readonly curve: Curve
  /** The number of the text encoders; the published lists call it BASE. */
  readonly base: number
}

const smooth: Curve = (x) => x * x * (3 - 2 * x)
/** A triangle wave from 0 to 1 and back, of period 2. */
const wave = (u: number): number => 1 - Math.abs((u % 2) - 1)
const cosine: Curve = (x) => (1 + Math.cos(Math.PI * x)) / 2
const fakeHermite: Curve = (x) => (19 / 3) * x ** 3 - (19 / 2) * x ** 2 + (25 / 6) * x
/** As published: a cubic that ends at 1 and would begin at 1/24, with its first number replaced by 0. */
const trueHermite: Curve = (x) => (x === 0 ? 0 : (154 * x ** 3 - 231 * x ** 2 + 100 * x + 1) / 24)
const reverse =
  (curve: Curve): Curve =>
  (x) =>
    1 - curve(x)
const flat =
  (value: number): Curve =>
  () =>
    value

/** The last of the 25 positions IN00 … IN11, M00, OUT00 … OUT11 that block sets were published for. */
const LAST = 24
/** Runs of those positions, both ends included, with their number; 0 elsewhere. */
const runs =
  (...parts: readonly (readonly [from: number, to: number, value: number])[]): Curve =>
  (x) => {
    const position = Math.round(x * LAST)
    return parts.find(([from, to]) => from <= position && position <= to)?.[2] ?? 0
  }
/** The same number of blocks at both ends. */
const wrap = (count: number): Curve => runs([0, count - 1, 1], [LAST - count + 1, LAST, 1])

const CURVES = {
  GRAD_V: (x) => Math.abs(1 - 2 * x),
  GRAD_A: (x) => 1 - Math.abs(1 - 2 * x),
  FLAT_25: flat(0.25),
  FLAT_75: flat(0.75),
  WRAP08: wrap(4),
  WRAP12: wrap(6),
  WRAP14: wrap(7),
  WRAP16: wrap(8),
  MID12_50: runs([5, 18, 0.5]),
  OUT07: runs([18, 24, 1]),
  OUT12: runs([13, 24, 1]),
  OUT12_5: runs([12, 12, 0.5], [13, 24, 1]),
  RING08_SOFT: runs([5, 5, 0.5], [6, 8, 1], [9, 9, 0.5], [15, 15, 0.5], [16, 18, 1], [19, 19, 0.5]),
  RING08_5: runs([6, 9, 1], [15, 18, 1]),
  RING10_5: runs([5, 9, 1], [15, 19, 1]),
  RING10_3: runs([6, 10, 1], [14, 18, 1]),
  SMOOTHSTEP: smooth,
  'REVERSE-SMOOTHSTEP': reverse(smooth),
  'SMOOTHSTEP*2': (x) => wave(2 * smooth(x)),
  'R_SMOOTHSTEP*2': reverse((x) => wave(2 * smooth(x))),
  'SMOOTHSTEP*3': (x) => wave(3 * smooth(x)),
  'R_SMOOTHSTEP*3': reverse((x) => wave(3 * smooth(x))),
  'SMOOTHSTEP*4': (x) => wave(4 * smooth(x)),
  'R_SMOOTHSTEP*4': reverse((x) => wave(4 * smooth(x))),
  'SMOOTHSTEP/2': (x) => smooth(wave(2 * x)),
  'R_SMOOTHSTEP/2': reverse((x) => smooth(wave(2 * x))),
  'SMOOTHSTEP/3': (x) => smooth(wave(3 * x)),
  'R_SMOOTHSTEP/3': reverse((x) => smooth(wave(3 * x))),
  'SMOOTHSTEP/4': (x) => smooth(wave(4 * x)),
  'R_SMOOTHSTEP/4': reverse((x) => smooth(wave(4 * x))),
  COSINE: cosine,
  REVERSE_COSINE: reverse(cosine),
  TRUE_CUBIC_HERMITE: trueHermite,
  TRUE_REVERSE_CUBIC_HERMITE: reverse(trueHermite),
  FAKE_CUBIC_HERMITE: fakeHermite,
  FAKE_REVERSE_CUBIC_HERMITE: reverse(fakeHermite),
  ALL_A: flat(0),
  ALL_B: flat(1),
} as const satisfies Readonly<Record<string, Curve>>

/** The published name of a block-weight preset. */
export type PresetName = keyof typeof CURVES

/** The published block-weight presets, as curves that can be sampled at any number of blocks. */
export const PRESETS = Object.fromEntries(
  Object.entries(CURVES).map(([name, curve]) => [name, { curve, base: name === 'ALL_B' ? 1 : 0 }]),
) as Readonly<Record<PresetName, Preset>>

/** True for the name of a preset. */
export const isPreset = (name: string): name is PresetName => Object.hasOwn(CURVES, name)

const BESIDE: ReadonlySet<string> = new Set(['te', 'clip', 't5', 'vae'])

/**
 * A preset's number for each block of an architecture: the curve over its block-weight list, or, where it has none,
 * over its stack; `base` for text encoders.
 */
export const samplePreset = (name: PresetName, { mbw, blocks, shells }: Architecture): ReadonlyMap<string, number> => {
  const { curve, base } = PRESETS[name]
  const [list = blocks.filter((block) => shells.has(block))] = mbw
  const along = list.filter((block) => !BESIDE.has(block))
  return new Map([
    ...['te', 'clip', 't5'].map((block) => [block, base] as const),
    ...along.map((block, i) => [block, curve(along.length === 1 ? 1 : i / (along.length - 1))] as const),
  ])
}
