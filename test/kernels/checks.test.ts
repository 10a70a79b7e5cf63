import { expect, test } from 'vitest'
import type { FloatDtype } from '#src/tensor/dtype.js'
import { kernels } from './memory-of.js'

type Case = { readonly bytes: number; readonly finite: readonly bigint[]; readonly refused: readonly bigint[] }

/** Little-endian codes: the largest finite numbers of both signs, and what is not finite. */
const CASES: Readonly<Record<FloatDtype, Case>> = {
  F8_E4M3: { bytes: 1, finite: [0x7en, 0xfen, 0x00n, 0x80n], refused: [0x7fn, 0xffn] },
  F8_E5M2: { bytes: 1, finite: [0x7bn, 0xfbn, 0x00n], refused: [0x7cn, 0xfcn, 0x7dn, 0xffn] },
  F16: { bytes: 2, finite: [0x7bffn, 0xfbffn, 0x0001n], refused: [0x7c00n, 0xfc00n, 0x7c01n, 0xfe00n] },
  BF16: { bytes: 2, finite: [0x7f7fn, 0xff7fn, 0x0001n], refused: [0x7f80n, 0xff80n, 0x7f81n, 0xffc0n] },
  F32: {
    bytes: 4,
    finite: [0x7f7fffffn, 0xff7fffffn, 1n],
    refused: [0x7f800000n, 0xff800000n, 0x7f800001n, 0xffc00000n],
  },
  F64: {
    bytes: 8,
    finite: [0x7fefffffffffffffn, 0xffefffffffffffffn, 0x00000000fff00000n],
    refused: [0x7ff0000000000000n, 0xfff0000000000000n, 0x7ff0000000000001n, 0xfff8000000000000n],
  },
}

const CAPACITY = 8 * 80
const start = kernels.alloc(CAPACITY)

const write = (at: number, bytes: number, code: bigint): void => {
  const view = kernels.view(Uint8Array, at, bytes)
  for (let i = 0; i < bytes; i++) view[i] = Number((code >> BigInt(8 * i)) & 0xffn)
}

test.each(Object.entries(CASES) as [FloatDtype, Case][])(
  '%s: the first NaN or infinity is found at every place',
  (dtype, { bytes, finite, refused }) => {
    const n = 71
    for (const shift of bytes === 8 ? [0, 3] : [0, 1, 2, 5]) {
      const at = start + shift
      const reset = (i: number): void => write(at + i * bytes, bytes, finite[i % finite.length]!)
      for (let i = 0; i < n; i++) reset(i)
      expect(kernels.firstNonFinite(at, n, dtype)).toBe(-1)
      for (let place = 0; place < n; place++) {
        write(at + place * bytes, bytes, refused[place % refused.length]!)
        expect(kernels.firstNonFinite(at, n, dtype)).toBe(place)
        // What lies after the end is not looked at.
        expect(kernels.firstNonFinite(at, place, dtype)).toBe(-1)
        if (place + 1 < n) {
          write(at + (n - 1) * bytes, bytes, refused[0]!)
          expect(kernels.firstNonFinite(at, n, dtype)).toBe(place)
          reset(n - 1)
        }
        reset(place)
      }
    }
  },
)

test('every code of the small dtypes is judged as its fields say', () => {
  const judge = (dtype: FloatDtype, type: typeof Uint8Array | typeof Uint16Array, code: number): boolean => {
    kernels.view<Uint8Array | Uint16Array>(type, start, 1)[0] = code
    return kernels.firstNonFinite(start, 1, dtype) === 0
  }
  const refused = (dtype: FloatDtype, type: typeof Uint8Array | typeof Uint16Array, size: number): number =>
    Array.from({ length: size }, (_, code) => judge(dtype, type, code)).filter(Boolean).length
  expect([refused('F8_E4M3', Uint8Array, 256), refused('F8_E5M2', Uint8Array, 256)]).toEqual([2, 8])
  expect([refused('F16', Uint16Array, 65536), refused('BF16', Uint16Array, 65536)]).toEqual([2048, 256])
})
