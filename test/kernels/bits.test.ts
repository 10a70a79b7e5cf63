import { expect, test } from 'vitest'
import * as reference from '#src/kernels/reference.js'
import { kernels, put, randomWords, written } from './memory-of.js'

test('packing and unpacking equal their twins and undo each other, at every length and alignment', () => {
  for (const n of [...Array(70).keys(), 1000, 10_007]) {
    const m = Uint8Array.from(randomWords(n, n), (word) => word & 1)
    const packed = written(Math.ceil(n / 8), n % 16, (at) => kernels.packBits(put(m, (5 * n) % 16), n, at))
    expect(packed).toEqual(reference.packBits(m))
    const back = written(n, (3 * n) % 16, (at) => kernels.unpackBits(put(packed, n % 7), n, at))
    expect(back).toEqual(m)
    expect(back).toEqual(reference.unpackBits(packed, n))
  }
})

test('the first element is the lowest bit, any byte but 0 is a one, and unused bits are 0', () => {
  const m = Uint8Array.of(1, 0, 0, 255, 0, 0, 0, 0, 0, 2)
  expect([...written(2, 0, (at) => kernels.packBits(put(m), 10, at))]).toEqual([0b00001001, 0b00000010])
  const long = new Uint8Array(20).fill(128)
  expect([...written(3, 0, (at) => kernels.packBits(put(long), 20, at))]).toEqual([255, 255, 15])
})
