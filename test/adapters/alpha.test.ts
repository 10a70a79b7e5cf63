import { expect, test } from 'vitest'
import { readLock } from '#src/store/lock.js'
import { reasonsOf } from '#src/plan/reasons.js'
import { withBuildFixture, shares } from '../run/build-fixture.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { filled } from './bake.js'

const recipe = (alpha: number | string): object => ({
  params: { alpha: 2 },
  models: { m: 'm.safetensors' },
  adapters: { l: { path: 'l.safetensors', alpha } },
  steps: { baked: { op: 'adapter.apply', model: 'm', adapter: 'l' } },
  outputs: { out: { from: 'baked', path: 'out.safetensors' } },
})

test('an alpha of the recipe is in the lock, and another one builds anew', () =>
  withBuildFixture(async (shop) => {
    await shop.model('m.safetensors', 0, { 'net.fc.weight': filled([2, 2], 1), 'net.fc.bias': filled([2], 1) })
    writeSafetensors(shop.at('l.safetensors'), {
      'net.fc.lora_A.weight': filled([1, 2], 1),
      'net.fc.lora_B.weight': filled([2, 1], 1),
    })
    await shop.build(recipe(2))
    const lock = await readLock(shop.at('recipe.lock.json'))
    const locked = lock.type === 'ok' ? lock.value : undefined
    expect(locked!.builds[0]!.steps['baked']).toMatchObject({ alphas: { adapter: 2 } })
    expect(shares(await shop.build(recipe(2)))).toMatchObject({ computed: 0 })
    expect(shares(await shop.build(recipe('$alpha')))).toMatchObject({ computed: 0 })

    const changed = await shop.build(recipe(4))
    expect(shares(changed)).toMatchObject({ computed: 1 })
    expect(reasonsOf(changed.plan!, locked)(changed.plan!.steps[0]!)).toEqual([
      {
        type: 'changed',
        by: 'baked',
        changes: [{ of: 'step', name: 'baked', fact: 'alphas', was: { adapter: 2 }, is: { adapter: 4 } }],
      },
    ])
    expect(shop.read('out.safetensors')).toEqual(await shop.fresh(recipe(4), ['out.safetensors']))
  }))
