import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { plainWeight, scaledWeight } from '../support/scaled.js'
import { makeFolder, smelt } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const weight = scaledWeight(1, 4, 6, 'row')
const scaled = (scale = weight.scale) => ({
  'x.weight': weight.stored,
  'x.weight_scale': scale,
  'y.weight': plainWeight(2, [4, 6]),
})
const plain = { 'x.weight': plainWeight(3, [4, 6]), 'y.weight': plainWeight(4, [4, 6]) }

const folder = makeFolder()
beforeAll(() => {
  writeSafetensors(join(folder.path, 'a.safetensors'), scaled())
  writeSafetensors(join(folder.path, 'b.safetensors'), plain)
})
afterAll(() => folder.remove())

test('`smelt inspect` names what is quantised, and takes statistics of the numbers that are meant', async () => {
  const done = await smelt(folder.path, ['inspect', 'a.safetensors', '--no-color'])
  expect(done.stdout).toMatch(/^quantised {5}F8_E4M3 with scales 1$/m)
  const { tensors, quantised } = JSON.parse(
    (await smelt(folder.path, ['inspect', 'a.safetensors', 'x.weight', '--stats', '--json'])).stdout,
  ) as { readonly quantised: object; readonly tensors: readonly { readonly statistics: { readonly max: number } }[] }
  expect(quantised).toEqual({ 'F8_E4M3 with scales': 1 })
  expect(tensors.map((t) => t.statistics.max)).toEqual([Math.fround(Math.max(...weight.meant))])
})

test('`smelt init` writes a recipe for models with and without scales in which nothing is missing', async () => {
  const place = makeFolder()
  writeSafetensors(join(place.path, 'a.safetensors'), scaled())
  writeSafetensors(join(place.path, 'b.safetensors'), plain)
  expect(await smelt(place.path, ['init'])).toMatchObject({ code: 0, stderr: '' })
  expect(await smelt(place.path, ['check', 'recipe.yaml'])).toMatchObject({ code: 0, stderr: '' })
  expect((await smelt(place.path, ['plan', 'recipe.yaml', '--no-color'])).stdout).not.toContain('missing')
  place.remove()
})

test('`smelt plan` says that numbers lose their scales, and `smelt why` that a scale has changed', async () => {
  writeFileSync(
    join(folder.path, 'r.yaml'),
    JSON.stringify({
      smelt: 1,
      models: { a: 'a.safetensors', b: 'b.safetensors' },
      steps: { m: { op: 'merge.blend', a: 'a', b: 'b' } },
      outputs: { o: { from: 'm', path: 'o.safetensors' } },
    }),
  )
  expect((await smelt(folder.path, ['plan', 'r.yaml', '--no-color'])).stdout.replaceAll(/\s+/g, ' ')).toContain(
    '2 tensors; BF16 1, F32 1; 1 tensor stored with scales becomes plain numbers;',
  )
  expect(await smelt(folder.path, ['build', 'r.yaml', '--quiet'])).toMatchObject({ code: 0, stderr: '' })
  writeSafetensors(join(folder.path, 'a.safetensors'), scaled(scaledWeight(9, 4, 6, 'row').scale))
  expect((await smelt(folder.path, ['build', 'r.yaml', '--frozen'])).code).not.toBe(0)
  expect((await smelt(folder.path, ['why', 'r.yaml', '--no-color'])).stdout).toContain('a.safetensors')
})
