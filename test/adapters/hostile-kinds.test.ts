import { expect, test } from 'vitest'
import type { TensorValues } from '../support/write-safetensors.js'
import { bake, f32, filled } from './bake.js'
import { createDice } from './dice.js'
import { DEFECTS, spoilOne, wronglyJudged } from './hostile-kinds.js'
import { KINDS } from './kind-cases.js'

/** Of 5,000 so many at a time. */
const AT_ONCE = 500

test.each(Array.from({ length: 10 }, (_, i) => i * AT_ONCE))(
  'from the %dth of 5,000 adapters of all kinds on each is taken, and refused in plain words with one defect',
  (from) => {
    expect(wronglyJudged(from, from + AT_ONCE)).toEqual([])
  },
)

test('every defect is made of some of them', () => {
  const made = new Set(
    Array.from(
      { length: 400 },
      (_, seed) =>
        / with (.+)$/.exec(spoilOne(seed).what.replace(/ with (?:a core|a constraint|factors of rows|all)/, ''))![1],
    ),
  )
  expect([...made].sort()).toEqual(Object.keys(DEFECTS).sort())
})

const LARGEST_HALF = 65504

test.each(Object.entries(KINDS))('NaN or an infinity anywhere in %s makes no model', async (what, kind) => {
  const dice = createDice(what.length)
  const { tensors, config } = kind({ outputs: 8, inputs: 6, kernel: [] }, () => dice(2001) / 1000 - 1)
  const names = Object.keys(tensors).filter((name) => !/^(?:alpha|on_input)$/.test(name))
  const spoilt = names[dice(names.length)]!
  const { shape } = tensors[spoilt]!
  const values = Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => (dice(2) === 0 ? NaN : Infinity))
  const adapter: Readonly<Record<string, TensorValues>> = Object.fromEntries(
    Object.entries({ ...tensors, [spoilt]: f32(shape, ...values) }).map(([ending, t]) => [`net.fc.${ending}`, t]),
  )
  const model = { 'net.fc.weight': filled([8, 6], 0.5) }
  const { problems, tensors: written } = await bake({ model, adapter, ...(config && { config }) })
  expect(problems.filter((d) => d.severity === 'error')).toHaveLength(1)
  expect(written).toEqual({})
})

test('what overflows the dtype of the model makes no model', async () => {
  const { problems, tensors } = await bake({
    model: { 'net.fc.weight': { dtype: 'F16', shape: [1, 1], values: 1 } },
    adapter: { 'net.fc.lora_up.weight': filled([1, 1], LARGEST_HALF), 'net.fc.lora_down.weight': filled([1, 1], 2) },
  })
  expect(problems.map((d) => d.code)).toEqual(['non-finite'])
  expect(tensors).toEqual({})
})
