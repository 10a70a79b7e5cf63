import { describe, expect, test } from 'vitest'
import { computedBy, withBuildFixture, shares, type BuildFixture } from './build-fixture.js'
import type { TensorValues } from '../support/write-safetensors.js'

const OUT = 'out.safetensors'
const WIDTH = 4
const numbers = (shape: readonly number[], by: number): TensorValues => ({
  dtype: 'F32',
  shape,
  values: Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => Math.sin((i + 1) * by)),
})

/** A Flux so small that it is only its names, of which diffusers fuses some and swaps others. */
const MODEL = {
  'double_blocks.0.img_attn.norm.key_norm.scale': numbers([2], 1),
  'double_blocks.0.img_attn.qkv.weight': numbers([3 * WIDTH, WIDTH], 2),
  'final_layer.adaLN_modulation.1.weight': numbers([2 * WIDTH, WIDTH], 3),
  'img_in.weight': numbers([WIDTH, 2], 4),
}
const [QKV, SWAPPED] = ['double_blocks.0.img_attn.qkv.weight', 'final_layer.adaLN_modulation.1.weight']
const pair = (module: string, rows: number, by: number): Record<string, TensorValues> => ({
  [`transformer.${module}.lora_B.weight`]: numbers([rows, 2], by),
  [`transformer.${module}.lora_A.weight`]: numbers([2, WIDTH], by + 0.5),
})
const adapter = (swapped: number, key: number): Record<string, TensorValues> => ({
  ...pair('norm_out.linear', 2 * WIDTH, swapped),
  ...pair('transformer_blocks.0.attn.to_q', WIDTH, 6),
  ...pair('transformer_blocks.0.attn.to_k', WIDTH, key),
})
const bake = (strength: unknown = 1): object => ({
  models: { base: 'base.safetensors' },
  adapters: { lora: 'lora.safetensors' },
  steps: { baked: { op: 'adapter.apply', model: 'base', adapter: 'lora', strength } },
  outputs: { out: { from: 'baked', path: OUT } },
})
const inFlux = (work: (shop: BuildFixture) => Promise<void>): Promise<void> =>
  withBuildFixture(async (shop) => {
    await shop.model('base.safetensors', 0, MODEL)
    await shop.model('lora.safetensors', 0, adapter(5, 7))
    await work(shop)
  })
const neverStart = (): never => {
  throw new Error('a worker was started')
}

describe('an adapter on parts of tensors, and on rows in another order,', () => {
  test('is computed once: a second build starts no worker', () =>
    inFlux(async (shop) => {
      const first = await shop.build(bake())
      expect([first.codes, shares(first)]).toEqual([[], { computed: 2, reused: 0, copied: 2 }])
      const again = await shop.build(bake(), { start: neverStart })
      expect(again.result).toMatchObject({
        type: 'ok',
        value: { readBytes: 0, writtenBytes: 0, outputs: [{ kept: true }] },
      })
    }))

  test('is computed anew only where its strength changes', () =>
    inFlux(async (shop) => {
      await shop.build(bake())
      for (const [tensor, strength] of [
        [SWAPPED, { default: 1, final_layer: 0.5 }],
        [QKV, { default: 1, final_layer: 0.5, 'double_blocks.0': 2 }],
      ] as const) {
        const changed = await shop.build(bake(strength))
        expect([changed.codes, computedBy(changed), shares(changed)]).toEqual([
          [],
          [tensor],
          { computed: 1, reused: 1, copied: 2 },
        ])
        expect(shop.read(OUT)).toEqual(await shop.fresh(bake(strength), [OUT]))
      }
    }))

  test.each([
    ['a factor whose halves are swapped', adapter(5.25, 7), SWAPPED],
    ['a factor of some of the rows', adapter(5, 7.25), QKV],
  ])('is computed anew only for what %s changes', (_what, changed, tensor) =>
    inFlux(async (shop) => {
      await shop.build(bake())
      await shop.model('lora.safetensors', 0, changed)
      const made = await shop.build(bake())
      expect([made.codes, computedBy(made)]).toEqual([[], [tensor]])
      expect(shop.read(OUT)).toEqual(await shop.fresh(bake(), [OUT]))
    }),
  )

  test('reads what the plan says: all tensors once, and the factors of every product', () =>
    inFlux(async (shop) => {
      const { plan, result } = await shop.build(bake(), { force: true })
      const stored = 4 * (2 + 3 * WIDTH * WIDTH + 2 * WIDTH * WIDTH + 2 * WIDTH)
      const [up, down] = [4 * 2 * WIDTH, 4 * 2 * WIDTH]
      // The product for the swapped tensor, of twice as many rows, is made at once: its rows change places.
      const factors = 2 * (up + down) + 2 * up + down
      expect(plan!.totals).toMatchObject({ readBytes: stored + factors, skippedBytes: 0 })
      expect(result).toMatchObject({ value: { readBytes: plan!.totals.readBytes + plan!.totals.digestBytes } })
    }))
})
