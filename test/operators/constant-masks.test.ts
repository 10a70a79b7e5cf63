import { expect, test } from 'vitest'
import { BASE, OPERATIONS, random } from '../support/masks.js'
import { evaluateNames } from '../support/evaluate.js'
import { f32 } from '../support/small.js'

const FILES = { a: { x: f32(1, 2), y: f32(3, 4), z: f32(5) }, b: { x: f32(0, 1), y: f32(2, 2), z: f32(1) } }

/** What each mask of some steps says of its tensors before anything is built, and what it then is. */
const compare = (steps: Readonly<Record<string, Readonly<Record<string, unknown>>>>, names: readonly string[]) => {
  const said: unknown[] = []
  const built: unknown[] = []
  for (const name of names) {
    const valueOf = evaluateNames({ smelt: 1, models: { a: 'a', b: 'b' }, steps }, FILES)
    const made = valueOf(name)
    if (made.type === 'failed' || made.value.kind !== 'mask') throw new Error(`${name} is no mask`)
    for (const tensor of made.value.shapes.keys()) {
      said.push([name, tensor, made.value.constant(tensor)])
      const mask = made.value.mask(tensor)
      built.push([name, tensor, mask.type === 'constant' ? mask.value : undefined])
    }
  }
  return { said, built }
}

test('every operator’s masks say themselves which are constants', () => {
  const { said, built } = compare(BASE, [...Object.keys(BASE).filter((name) => name !== 'parts'), 'parts.1', 'parts.2'])
  expect(said).toEqual(built)
  for (const known of [true, false, undefined]) expect(new Set(said.map((s) => (s as unknown[])[2]))).toContain(known)
})

test('the same mask twice is nothing by an exclusive or', () => {
  const twin = { ...BASE, again: BASE.half, differ: { op: 'mask.xor', masks: ['half', 'again'] } }
  const { said } = compare(twin, ['differ'])
  expect(said).toEqual(['x', 'y', 'z'].map((tensor) => ['differ', tensor, false]))
})

test('masks of masks say the same as what is built of them, whatever they are made of', () => {
  const draw = random(7)
  for (let round = 0; round < 200; round++) {
    const steps: Record<string, Readonly<Record<string, unknown>>> = { ...BASE }
    const names = Object.keys(BASE).filter((name) => name !== 'parts')
    const pick = (): string => names[Math.floor(draw() * names.length)]!
    for (let i = 0; i < 4; i++) {
      const made = OPERATIONS[Math.floor(draw() * OPERATIONS.length)]!
      steps[`m${i}`] = made(pick, draw)
      names.push(`m${i}`)
    }
    const { said, built } = compare(steps, ['m0', 'm1', 'm2', 'm3'])
    expect(said, JSON.stringify(steps)).toEqual(built)
  }
})
