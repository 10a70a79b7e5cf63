import { expect, test } from 'vitest'
import { deriveKey } from '#src/kernels/key.js'

const words = { seed: 1, step: 'drop', draw: 0, tensor: 'a.weight' } as const
const name = (key: { k0: number; k1: number }): string => `${key.k0}:${key.k1}`

test('the key of some words never changes', () => {
  expect(deriveKey(words)).toEqual({ k0: 951846047, k1: 2543966939 })
})

test('words that differ anywhere give different keys', () => {
  const long = 'x'.repeat(300)
  const all = [
    words,
    { ...words, seed: 2 },
    { ...words, seed: '1' },
    { ...words, step: 'dropa' },
    { ...words, step: 'drop","0' },
    { ...words, draw: 1 },
    { ...words, tensor: 'weight' },
    { ...words, tensor: 'a.weighu' },
    { ...words, tensor: 'ａ.weight' },
    // The lower 8 bits of these two are those of `a`.
    { ...words, tensor: '\u0161.weight' },
    { ...words, tensor: '\u4e61.weight' },
    { ...words, tensor: `${long}a${long}` },
    { ...words, tensor: `${long}b${long}` },
    { ...words, tensor: `a${long}${long}` },
    { ...words, tensor: `b${long}${long}` },
    { ...words, step: 'dropa', tensor: '.weight' },
  ]
  expect(new Set(all.map(deriveKey).map(name)).size).toBe(all.length)
})

test('both halves are unsigned 32-bit numbers that use their top bit', () => {
  const keys = Array.from({ length: 64 }, (_, draw) => deriveKey({ ...words, draw }))
  const halves = keys.flatMap(({ k0, k1 }) => [k0, k1])
  expect(halves.every((half) => Number.isInteger(half) && half >= 0 && half < 2 ** 32)).toBe(true)
  expect(halves.some((half) => half >= 2 ** 31)).toBe(true)
  expect(new Set(halves).size).toBe(128)
})
