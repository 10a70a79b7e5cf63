import { expect, test } from 'vitest'
import { NORMAL_TABLE_LENGTH, walkNormal } from '#src/kernels/normal-table.js'
import { normalOf } from '#src/kernels/reference.js'

const density = (z: number): number => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)

/** The probability above z >= 0: the series around 0 up to 3, beyond it the continued fraction. */
const upperTail = (z: number): number => {
  if (z > 3) {
    let fraction = z
    for (let k = 80; k > 0; k--) fraction = z + k / fraction
    return density(z) / fraction
  }
  let term = z
  let sum = z
  for (let k = 1; k < 80; k++) sum += term *= (z * z) / (2 * k + 1)
  return 0.5 - density(z) * sum
}

/** How far the value for odd w is from where the upper tail is w / 2^32. */
const errorAt = (w: number): number => {
  const z = normalOf(w)
  return (upperTail(z) - w / 2 ** 32) / density(z)
}

test('the walk from the far tail arrives at the middle', () => {
  const { value, slope } = walkNormal().end
  expect(Math.abs(value)).toBeLessThan(1e-12)
  expect(Math.abs(slope / (-Math.sqrt(2 * Math.PI) / 64) - 1)).toBeLessThan(1e-12)
})

test('values are right to a last place of float32 from the middle to the farthest tail', () => {
  let worst = 0
  for (let octave = 0; octave < 31; octave++) {
    for (let piece = 0; piece < 500; piece++) {
      const w = Math.floor(2 ** octave * (1 + piece / 500)) | 1
      worst = Math.max(worst, Math.abs(errorAt(w)) / (1e-7 + 2 ** -23 * normalOf(w)))
    }
  }
  expect(worst).toBeLessThan(1)
})

test('values get smaller as the probability above them grows, across every border of two segments', () => {
  for (let octave = 6; octave < 31; octave++) {
    for (let piece = 0; piece < 32; piece++) {
      const border = 2 ** octave * (1 + piece / 32)
      expect(normalOf((border * (1 - 2 ** -12)) | 1)).toBeGreaterThanOrEqual(normalOf((border * (1 + 2 ** -12)) | 1))
    }
  }
})

test('the farthest values are those of 2^-32, one for each sign', () => {
  expect(normalOf(0)).toBeCloseTo(6.23026, 5)
  expect(normalOf(0x80000000)).toBe(-normalOf(0))
})

test('a probability that rounds to one half gives zero', () => {
  expect(Math.abs(normalOf(0x7fffffff))).toBe(0)
  expect(NORMAL_TABLE_LENGTH).toBe(4 * (31 * 32 + 1))
  expect(walkNormal().table.length).toBe(NORMAL_TABLE_LENGTH)
})
