import { describe, expect, test } from 'vitest'
import { bake, f32, filled, type Bake, type Tensors } from './bake.js'
import { createDice } from './dice.js'

const [EXPERTS, HIDDEN, INNER, RANK] = [3, 5, 4, 2]
const OWNER = 'base_model.model.model.layers.0.mlp.experts'

type Matrix = readonly (readonly number[])[]

const dice = createDice(17)
/** Numbers of which products and sums of a few are exact in float32. */
const matrix = (rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, () => Array.from({ length: columns }, () => dice(17) / 4 - 2))
const stored = (m: Matrix) => f32([m.length, m[0]!.length], ...m.flat())
const times = (a: Matrix, b: Matrix, by: number): Matrix =>
  a.map((row) => b[0]!.map((_, j) => by * row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)))
const turned = (m: Matrix): Matrix => m[0]!.map((_, j) => m.map((row) => row[j]!))

/** Factors of the matrices of each expert: gate and up [inner, hidden], down [hidden, inner]. */
const SIDES = { gate: [INNER, HIDDEN], up: [INNER, HIDDEN], down: [HIDDEN, INNER] } as const
type Name = keyof typeof SIDES
const NAMES = Object.keys(SIDES) as Name[]
const factors = Array.from(
  { length: EXPERTS },
  () =>
    Object.fromEntries(
      NAMES.map((name) => [name, { b: matrix(SIDES[name][0], RANK), a: matrix(RANK, SIDES[name][1]) }]),
    ) as Record<Name, { readonly b: Matrix; readonly a: Matrix }>,
)
const SCALE = 1.5
const changeOf = (e: number, name: Name): Matrix => times(factors[e]![name].b, factors[e]![name].a, SCALE)

/** What a stacked tensor becomes: of each expert the matrices one below the other, or side by side. */
const stackedOf = (names: readonly Name[], inputsFirst: boolean): readonly number[] =>
  factors.flatMap((_, e) => {
    const rows = names.flatMap((name) => changeOf(e, name))
    return (inputsFirst ? turned(rows) : rows).flat()
  })

const oneByOne = (leaf: (name: Name) => string, owner = OWNER): Tensors =>
  Object.fromEntries(
    factors.flatMap((own, e) =>
      NAMES.flatMap((name) => [
        [`${owner}.${e}.${leaf(name)}.lora_A.weight`, stored(own[name].a)],
        [`${owner}.${e}.${leaf(name)}.lora_B.weight`, stored(own[name].b)],
      ]),
    ),
  )
const PROJ = (name: Name): string => `${name}_proj`
const MIXTRAL = (name: Name): string => ({ gate: 'w1', up: 'w3', down: 'w2' })[name]

const HOME = 'model.layers.0.mlp.experts'
const stackedModel = (inputsFirst: boolean): Tensors => ({
  [`${HOME}.gate_up_proj`]: filled(inputsFirst ? [EXPERTS, HIDDEN, 2 * INNER] : [EXPERTS, 2 * INNER, HIDDEN], 0),
  [`${HOME}.down_proj`]: filled(inputsFirst ? [EXPERTS, INNER, HIDDEN] : [EXPERTS, HIDDEN, INNER], 0),
})
const config = { r: RANK, lora_alpha: SCALE * RANK }

const bakedOf = async (given: Bake) => {
  const { problems, tensors } = await bake(given)
  expect(problems.map((d) => d.message)).toEqual([])
  return tensors
}

describe('LoRA of experts one by one, for a model that has them in one tensor', () => {
  test.each([
    ['outputs first', false, PROJ, OWNER],
    ['inputs first', true, PROJ, OWNER],
    ['the names of Mixtral', false, MIXTRAL, OWNER.replace('mlp', 'block_sparse_moe')],
  ] as const)('changes the part of each expert: %s', async (_, inputsFirst, leaf, owner) => {
    const tensors = await bakedOf({ model: stackedModel(inputsFirst), adapter: oneByOne(leaf, owner), config })
    expect(tensors[`${HOME}.gate_up_proj`]).toEqual(stackedOf(['gate', 'up'], inputsFirst))
    expect(tensors[`${HOME}.down_proj`]).toEqual(stackedOf(['down'], inputsFirst))
  })

  test('leaves experts alone that it has no factors for, and takes an own scale of each module', async () => {
    const adapter = Object.fromEntries(
      Object.entries(oneByOne(PROJ)).filter(([name]) => /experts\.[02]\.(gate|up)_proj/.test(name)),
    )
    const tensors = await bakedOf({
      model: stackedModel(false),
      adapter,
      config: { ...config, alpha_pattern: { 'experts.2.up_proj': 4 * SCALE * RANK } },
    })
    const size = INNER * HIDDEN
    const expected = stackedOf(['gate', 'up'], false).map((x, i) =>
      Math.floor(i / (2 * size)) === 1 ? 0 : i >= 5 * size ? 4 * x : x,
    )
    expect(tensors[`${HOME}.gate_up_proj`]).toEqual(expected)
    expect(tensors[`${HOME}.down_proj`]).toEqual(Array(EXPERTS * size).fill(0))
  })

  test.each<readonly [what: string, given: Partial<Bake>, expected: RegExp]>([
    [
      'an expert that the model does not have',
      { adapter: Object.fromEntries(Object.entries(oneByOne(PROJ)).map(([n, x]) => [n.replace('.2.', '.3.'), x])) },
      /^adapter-shape: the factors of .*experts\.3\.down_proj.* do not fit an expert of .* \[3, 5, 4\]/,
    ],
    [
      'lengths of rows (DoRA)',
      { adapter: { ...oneByOne(PROJ), [`${OWNER}.0.gate_proj.lora_magnitude_vector.weight`]: filled([INNER], 1) } },
      /^adapter-unsupported: .*experts\.0\.gate_proj.* no plain pair of LoRA factors/,
    ],
    [
      'outputs whose order nothing says',
      { model: { ...stackedModel(false), [`${HOME}.gate_up_proj_bias`]: filled([EXPERTS, 2 * INNER], 0) } },
      /^adapter-unsupported: .* two of them whose order smelt does not know/,
    ],
  ])('is refused with %s', async (_what, given, expected) => {
    const { problems } = await bake({ model: stackedModel(false), adapter: oneByOne(PROJ), config, ...given })
    expect(problems.map((d) => `${d.code}: ${d.message}`)).toContainEqual(expect.stringMatching(expected))
  })
})

describe('LoRA of stacked experts, for a model that has them one by one', () => {
  // PEFT lays the factors of all experts out as [experts · rank, inputs] and [outputs, rank · experts].
  const all = (names: readonly Name[], inputsFirst: boolean) => {
    const [a, b] = [
      matrix(EXPERTS * RANK, SIDES[names[0]!][1]),
      matrix(names.length * SIDES[names[0]!][0], RANK * EXPERTS),
    ]
    const changes = factors.map((_, e) => {
      const own = b.map((row) => row.filter((_x, k) => k % EXPERTS === e))
      return times(own, a.slice(e * RANK, (e + 1) * RANK), SCALE)
    })
    // One that takes the first axis for the inputs has the factors the other way round.
    if (!inputsFirst) return { a, b, changes }
    const interleaved = Array.from(
      { length: EXPERTS * RANK },
      (_, i) => turned(b)[(i % RANK) * EXPERTS + Math.floor(i / RANK)]!,
    )
    const outputs = turned(
      Array.from({ length: RANK * EXPERTS }, (_, i) => a[(i % EXPERTS) * RANK + Math.floor(i / EXPERTS)]!),
    )
    return { a: interleaved, b: outputs, changes }
  }

  test.each([[false], [true]])('changes the layers of each expert, its inputs first: %s', async (inputsFirst) => {
    const [gateUp, down] = [all(['gate', 'up'], inputsFirst), all(['down'], inputsFirst)]
    const model = Object.fromEntries(
      factors.flatMap((_, e) => NAMES.map((name) => [`${HOME}.${e}.${name}_proj.weight`, filled(SIDES[name], 0)])),
    )
    const adapter = {
      [`${OWNER}.base_layer.lora_A.weight`]: stored(gateUp.a),
      [`${OWNER}.base_layer.lora_B.weight`]: stored(gateUp.b),
      [`${OWNER}.lora_A.weight`]: stored(down.a),
      [`${OWNER}.lora_B.weight`]: stored(down.b),
    }
    const parameters = ['mlp.experts.gate_up_proj', 'mlp.experts.down_proj']
    const tensors = await bakedOf({ model, adapter, config: { ...config, target_parameters: parameters } })
    for (const e of factors.keys()) {
      expect(tensors[`${HOME}.${e}.gate_proj.weight`]).toEqual(gateUp.changes[e]!.slice(0, INNER).flat())
      expect(tensors[`${HOME}.${e}.up_proj.weight`]).toEqual(gateUp.changes[e]!.slice(INNER).flat())
      expect(tensors[`${HOME}.${e}.down_proj.weight`]).toEqual(down.changes[e]!.flat())
    }
  })
})
