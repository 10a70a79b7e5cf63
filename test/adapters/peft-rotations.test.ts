import { describe, expect, test } from 'vitest'
import { bake, f32, filled, type Bake } from './bake.js'

/** Layers, adapters and what `merge_and_unload` of PEFT 0.21.2 makes of them. */
const FC = f32([2, 4], -0.5, 0.25, -1, -1.5, 0.25, 1.5, 1, 0.75)
const PAIRS = f32([2, 1], -0.5, -0.25)
const config = { peft_type: 'OFT', oft_block_size: 2, r: 0, peft_version: '0.21.2' }

const baked = async (given: Bake): Promise<readonly number[]> => {
  const { problems, tensors } = await bake(given)
  expect(problems.map((d) => d.message)).toEqual([])
  return tensors[Object.keys(given.model)[0]!]!
}
const expectClose = (found: readonly number[], expected: readonly number[]): void => {
  expect(found).toHaveLength(expected.length)
  for (const [i, x] of expected.entries()) expect(found[i]).toBeCloseTo(x, 6)
}

describe('PEFT’s', () => {
  test.each<readonly [what: string, settings: object, expected: readonly number[]]>([
    [
      'OFT by a series of five terms, its default',
      {},
      [-0.46875, -0.234375, -0.1757812, -1.7871094, -0.984375, 1.03125, 0.5273438, 1.1279297],
    ],
    [
      'OFT by a series of three terms',
      { num_cayley_neumann_terms: 3 },
      [-0.46875, -0.3125, -0.1484375, -1.796875, -1.1875, 0.96875, 0.5117188, 1.140625],
    ],
  ])('%s', async (_what, settings, expected) => {
    const adapter = { 'base_model.model.net.fc.oft_R.weight': PAIRS }
    expectClose(await baked({ model: { 'net.fc.weight': FC }, adapter, config: { ...config, ...settings } }), expected)
  })

  test('OFT before 0.18 counts the last term of its series twice', async () => {
    const { peft_version: _, ...early } = config
    const adapter = { 'base_model.model.net.fc.oft_R.weight': f32([1, 1], 0.5) }
    const model = { 'net.fc.weight': f32([1, 2], 1, 0) }
    // S = [[0, ½], [−½, 0]], S² = −¼·I: I + 2S + 2S² + 2S³ + 2S⁴.
    expect(await baked({ model, adapter, config: early })).toEqual([1 - 2 / 4 + 2 / 16, -1 + 1 / 4])
    expect(await baked({ model, adapter, config })).toEqual([1 - 2 / 4 + 1 / 16, -1 + 1 / 4])
    // Of a series of one term nothing is left but I.
    const one = await bake({ model, adapter, config: { ...config, num_cayley_neumann_terms: 1 } })
    expect(one.tensors['net.fc.weight']).toEqual([1, 0])
  })

  test('constrained OFT brings every block down to its norm', async () => {
    const adapter = { 'base_model.model.net.fc.oft_R.weight': f32([1, 6], -0.5, -0.25, 0.125, -0.5, 0, 0.125) }
    expectClose(
      await baked({
        model: { 'net.fc.weight': FC },
        adapter,
        config: { ...config, use_cayley_neumann: false, coft: true, eps: 0.9 },
      }),
      [-0.3966695, -0.0282304, -0.5704349, -1.7546967, 1.2320797, 1.0757947, -0.5451801, 0.9499599],
    )
  })

  test('OFT of embeddings turns the other way, here with one block for all places', async () => {
    const embed = f32([3, 4], 0.25, 1.25, -1.25, -0.75, 0, -0.75, 0.5, -1.25, 0.25, 0.5, -2.25, 0.25)
    expectClose(
      await baked({
        model: { 'net.embed.weight': embed },
        adapter: { 'base_model.model.net.embed.oft_embedding_R.weight': f32([1, 1], -0.5) },
        config: { ...config, use_cayley_neumann: false, block_share: true },
      }),
      [-0.85, 0.95, -0.15, -1.45, 0.6, -0.45, 1.3, -0.35, -0.25, 0.5, -1.55, -1.65],
    )
  })

  test('BOFT of three levels', async () => {
    expectClose(
      await baked({
        model: {
          'net.fc.weight': f32(
            [2, 8],
            0.25,
            1,
            -0.5,
            -1.75,
            1,
            0.5,
            -0.25,
            0,
            0.5,
            2.25,
            1.75,
            -1.25,
            1,
            0.5,
            2.5,
            -0.25,
          ),
        },
        adapter: {
          'base_model.model.net.fc.boft_R': f32(
            [3, 4, 2, 2],
            ...[-0.25, -0.125, -0.125, 0.125, 0, 0, 0.25, -0.375, -0.125, 0.125, 0.125, 0.375, -0.5, 0, 0.375, 0.375],
            ...[-0.25, 1.125, -0.25, -0.125, 0.375, -1.125, 0.625, -0.125, 0.5, -0.625, -0.875, 0.375],
            ...[-0.375, -0.25, 0.625, 0.75, 0, -0.25, 0.25, -0.125, -0.75, 0.75, -0.5, 0.625, 0.25, 0, -0.5, -0.25],
            ...[-0.375, -0.375, -0.5, -1],
          ),
          'base_model.model.net.fc.boft_s': f32([2, 1], 0.5, 0.875),
        },
        config: { peft_type: 'BOFT', boft_block_size: 2, boft_n_butterfly_factor: 3, bias: 'none' },
      }),
      [
        ...[0.6581116, -0.4949368, -0.0464108, -0.576279, 0.2307411, -0.5521603, -0.0132464, -0.2263899],
        ...[-0.6905623, -0.1187682, -0.2508858, -2.0012078, 0.782756, -1.2358978, 2.2629189, -1.2564745],
      ],
    )
  })
})

describe('refused is', () => {
  const fc = { 'net.fc.weight': FC }
  const skew = (shape: readonly number[]) => ({ 'base_model.model.net.fc.oft_R.weight': filled(shape, 0.5) })
  const butterfly = (shape: readonly number[], factors?: readonly number[]) => ({
    'base_model.model.net.fc.boft_R': filled(shape, 0.5),
    ...(factors && { 'base_model.model.net.fc.boft_s': filled(factors, 1) }),
  })
  test.each<readonly [what: string, given: Bake, expected: RegExp]>([
    ['OFT without its config', { model: fc, adapter: skew([2, 1]) }, /^adapter-config-missing: .* `OFT` says how/],
    [
      'OFT of a config of another type',
      { model: fc, adapter: skew([2, 1]), config: { r: 1, lora_alpha: 1 } },
      /^adapter-config-missing: .* `OFT` says how/,
    ],
    [
      // PEFT takes the height of a kernel for its width, too, and refuses the product.
      'OFT of a kernel that is not square, of the inputs that PEFT counts',
      { model: { 'net.fc.weight': filled([2, 2, 3, 1], 1) }, adapter: skew([9, 1]), config },
      /^adapter-shape: .* needs \[3, 1\]/,
    ],
    [
      'an early OFT',
      { model: fc, adapter: { 'base_model.model.net.fc.oft_r': filled([2, 2, 2], 1) }, config },
      /0\.16/,
    ],
    ['OFT of other inputs', { model: fc, adapter: skew([3, 1]), config }, /^adapter-shape: .* needs \[2, 1\]/],
    ['no triangle', { model: fc, adapter: skew([2, 2]), config }, /^adapter-shape: .* do not divide the 4 columns/],
    [
      'one block for all places that is several',
      { model: fc, adapter: skew([2, 1]), config: { ...config, block_share: true } },
      /^adapter-shape: .* needs \[1, 1\]/,
    ],
    ['BOFT without factors', { model: fc, adapter: butterfly([1, 2, 2, 2]) }, /^factor-missing: .* has no `boft_s`/],
    [
      'factors without BOFT',
      { model: fc, adapter: { 'base_model.model.net.fc.boft_s': filled([2, 1], 1) } },
      /^factor-missing: .* has no `boft_R`/,
    ],
    [
      'BOFT of too many levels',
      { model: fc, adapter: butterfly([3, 2, 2, 2], [2, 1]) },
      /^adapter-shape: .* do not divide the 4 columns/,
    ],
    ['BOFT of too few blocks', { model: fc, adapter: butterfly([1, 1, 2, 2], [2, 1]) }, /needs \[1, 2, 2, 2\]/],
    ['BOFT of other outputs', { model: fc, adapter: butterfly([1, 2, 2, 2], [3, 1]) }, /needs \[2, 1\]/],
    ['a bad setting', { model: fc, adapter: skew([2, 1]), config: { ...config, coft: 1 } }, /`coft` .* true or false/],
  ])('%s', async (_what, given, expected) => {
    const { problems } = await bake(given)
    expect(problems.map((d) => `${d.code}: ${d.message}`)).toEqual([expect.stringMatching(expected)])
  })
})
