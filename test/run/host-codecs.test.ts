import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { decode, encode } from '#src/kernels/convert.js'
import { decodeAt, encodeAt, canonicalizeNaNs } from '#src/run/host-codecs.js'
import type { Dtype, FloatDtype } from '#src/tensor/dtype.js'
import { anyFloats, kernels, put, randomWords, written } from '../kernels/memory-of.js'
import { inFolder } from '../support/build-run.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { buildIn, built, dataOf } from './support.js'

const N = 70
/** What the host makes of the start of some bytes. */
const decoded = (dtype: Dtype, bytes: Uint8Array): Float32Array => {
  const from = put(bytes)
  return new Float32Array(written(4 * N, 0, (to) => decodeAt(kernels, dtype, from, N, to)).buffer)
}
/** Numbers of which each is the same as its counterpart, signs of zeros included; NaNs are all one. */
const same = (numbers: Float32Array, others: ArrayLike<number>): void =>
  expect([...numbers]).toEqual(Array.from(others))

describe('what a device cannot read the host turns into float32', () => {
  const bytes = new Uint8Array(randomWords(2 * N, 3).buffer)
  const words = <T>(type: new (buffer: ArrayBuffer, offset: number, length: number) => T): T =>
    new type(bytes.buffer, 0, N)

  test.each([
    ['BF16', () => words(Uint16Array)],
    ['F8_E4M3', () => words(Uint8Array)],
    ['F8_E5M2', () => words(Uint8Array)],
  ] as const)('%s, as its format has it', (dtype, codes) => {
    same(decoded(dtype, bytes), decode(dtype, codes()))
  })

  test.each([
    ['I8', () => words(Int8Array)],
    ['I16', () => words(Int16Array)],
    ['U16', () => words(Uint16Array)],
    ['I32', () => words(Int32Array)],
    ['U32', () => words(Uint32Array)],
    ['F64', () => words(Float64Array)],
  ] as const)('%s, to the nearest float32', (dtype, numbers) => {
    same(decoded(dtype, bytes), Float32Array.from(numbers()))
  })

  test.each([
    ['I64', () => words(BigInt64Array)],
    ['U64', () => words(BigUint64Array)],
  ] as const)('%s, by way of float64', (dtype, numbers) => {
    same(decoded(dtype, bytes), Float32Array.from([...numbers()].map(Number)))
  })

  test('halves of the last place go to even, and what float32 cannot hold to infinity', () => {
    const numbers = Float64Array.of(
      1 + 2 ** -24,
      1 + 3 * 2 ** -24,
      -(2 ** 128),
      2 ** -150,
      -0,
      NaN,
      ...new Array<number>(N).fill(1),
    )
    same(decoded('F64', new Uint8Array(numbers.buffer)).subarray(0, 6), [1, 1 + 2 ** -22, -Infinity, 0, -0, NaN])
    const whole = BigInt64Array.of((1n << 24n) + 1n, (1n << 24n) + 3n, -(1n << 63n), ...new Array<bigint>(N).fill(1n))
    same(decoded('I64', new Uint8Array(whole.buffer)).subarray(0, 3), [2 ** 24, 2 ** 24 + 4, -(2 ** 63)])
  })

  test('a dtype that providers take as it is, is a mistake of the program', () => {
    expect(() => decodeAt(kernels, 'F16', 0, 1, 0)).toThrow('F16')
    expect(() => encodeAt(kernels, 'F16', 0, 1, 0)).toThrow('F16')
  })
})

describe('what a device cannot write the host rounds', () => {
  const numbers = anyFloats(N, 9)
  numbers.set([
    0,
    -0,
    1,
    -1,
    2 ** -149,
    -448,
    464,
    465,
    57344,
    61440,
    3.3895313892515355e38,
    3.4e38,
    Infinity,
    -Infinity,
  ])
  const encoded = (dtype: FloatDtype, bytes: number): ArrayBuffer => {
    const from = put(numbers)
    return written(bytes * N, 0, (to) => encodeAt(kernels, dtype, from, N, to)).buffer
  }

  test.each(['BF16', 'F8_E4M3', 'F8_E5M2'] as const)('to %s, as its format has it', (dtype) => {
    const wide = dtype === 'BF16'
    const codes = wide ? new Uint16Array(encoded(dtype, 2)) : new Uint8Array(encoded(dtype, 1))
    expect([...codes]).toEqual([...encode(dtype, numbers)])
  })

  test('to F64, exactly', () => {
    expect([...new Float64Array(encoded('F64', 8))]).toEqual([...numbers])
  })
})

interface Codes {
  readonly bytes: number
  readonly nan: bigint
  readonly nans: readonly bigint[]
  readonly others: readonly bigint[]
}
/**
 * NaNs of both signs with the least and the greatest payload, quiet and signalling; and infinities, the largest and
 * smallest numbers, zeros.
 */
const CODES: Readonly<Record<FloatDtype, Codes>> = {
  F8_E4M3: { bytes: 1, nan: 0x7fn, nans: [0x7fn, 0xffn], others: [0x7en, 0xfen, 0n, 0x80n, 1n, 0x81n] },
  F8_E5M2: {
    bytes: 1,
    nan: 0x7fn,
    nans: [0x7dn, 0x7en, 0x7fn, 0xfdn, 0xffn],
    others: [0x7cn, 0xfcn, 0x7bn, 0xfbn, 0n, 0x80n, 1n],
  },
  F16: {
    bytes: 2,
    nan: 0x7e00n,
    nans: [0x7c01n, 0x7e00n, 0x7fffn, 0xfc01n, 0xfe00n, 0xffffn],
    others: [0x7c00n, 0xfc00n, 0x7bffn, 0xfbffn, 0n, 0x8000n, 1n],
  },
  BF16: {
    bytes: 2,
    nan: 0x7fc0n,
    nans: [0x7f81n, 0x7fc0n, 0x7fffn, 0xff81n, 0xffc0n, 0xffffn],
    others: [0x7f80n, 0xff80n, 0x7f7fn, 0xff7fn, 0n, 0x8000n, 1n],
  },
  F32: {
    bytes: 4,
    nan: 0x7fc00000n,
    nans: [0x7f800001n, 0x7fc00000n, 0x7fffffffn, 0xff800001n, 0xffc00000n, 0xffffffffn],
    others: [0x7f800000n, 0xff800000n, 0x7f7fffffn, 0xff7fffffn, 0n, 0x80000000n, 1n],
  },
  F64: {
    bytes: 8,
    nan: 0x7ff8000000000000n,
    nans: [
      0x7ff0000000000001n,
      0x7ff0000100000000n,
      0x7ff8000000000000n,
      0x7fffffffffffffffn,
      0xfff0000000000001n,
      0xfff8000000000000n,
      0xffffffffffffffffn,
    ],
    others: [
      0x7ff0000000000000n,
      0xfff0000000000000n,
      0x7fefffffffffffffn,
      0xffefffffffffffffn,
      0n,
      0x8000000000000000n,
      1n,
      0x00000000fff80001n,
      0x3ff00000ffffffffn,
    ],
  },
}

describe.each(Object.entries(CODES) as [FloatDtype, Codes][])('NaNs of %s', (dtype, { bytes, nan, nans, others }) => {
  const codes = [...nans, ...others, ...nans]
  const put64 = (all: readonly bigint[]): Uint8Array =>
    Uint8Array.from(
      all.flatMap((code) => Array.from({ length: bytes }, (_, i) => Number((code >> BigInt(8 * i)) & 0xffn))),
    )
  const levelled = (first: number, n = codes.length): readonly bigint[] => {
    const at = put(put64(codes))
    canonicalizeNaNs(kernels, dtype, at, n, first)
    const out = kernels.view(Uint8Array, at, bytes * codes.length)
    return codes.map((_, i) =>
      Array.from(out.subarray(bytes * i, bytes * (i + 1))).reduceRight((code, byte) => (code << 8n) | BigInt(byte), 0n),
    )
  }

  test('of either sign and any payload become one, and nothing else changes', () => {
    expect(levelled(0)).toEqual([...nans.map(() => nan), ...others, ...nans.map(() => nan)])
  })

  test('before the first and behind the last element are left alone', () => {
    const first = nans.length - 1
    expect(levelled(first)).toEqual([...nans.slice(0, first), nan, ...others, ...nans.map(() => nan)])
    expect(levelled(0, nans.length)).toEqual([...nans.map(() => nan), ...others, ...nans])
  })
})

const widthOf = (dtype: FloatDtype): 8 | 4 => (dtype === 'F64' ? 8 : 4)

/** A model of a tensor with NaNs of many bits and one of infinities, as stored numbers of 32 or 64 bits. */
const writeNaNs = (path: string, stored: 'F32' | 'F64', infinity: number): void => {
  writeSafetensors(path, {
    nans: { dtype: stored, shape: [8], values: 1 },
    infinities: { dtype: stored, shape: [8], values: infinity },
  })
  const file = readFileSync(path)
  const codes = CODES[stored].nans.slice(0, 6)
  const bytes = Uint8Array.from(
    codes.flatMap((code) => Array.from({ length: widthOf(stored) }, (_, i) => Number((code >> BigInt(8 * i)) & 0xffn))),
  )
  // Tensors lie sorted by name: the NaNs are the second.
  file.set(bytes, file.length - 8 * widthOf(stored))
  writeFileSync(path, file)
}

test.each(['F32', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2', 'F64'] as const)(
  'a build that lets NaN through writes one NaN, wherever it comes from: %s',
  (dtype) =>
    inFolder(async (folder) => {
      const stored = dtype === 'F64' ? 'F64' : 'F32'
      writeNaNs(join(folder, 'a.safetensors'), stored, Infinity)
      // Infinities that cancel are NaNs too, of the sign that this processor gives them.
      writeNaNs(join(folder, 'b.safetensors'), stored, -Infinity)
      await built(
        buildIn(folder, {
          models: { a: 'a.safetensors', b: 'b.safetensors' },
          steps: { x: { op: 'merge.blend', a: 'a', b: 'b' } },
          outputs: {
            out: {
              from: 'x',
              path: 'out.safetensors',
              dtype: dtype === 'F64' ? 'same' : dtype.toLowerCase(),
              non_finite: 'allow',
            },
          },
        }),
      )
      const { bytes, nan } = CODES[dtype]
      const codes =
        dataOf(join(folder, 'out.safetensors'))
          .toString('hex')
          .match(new RegExp(`.{${2 * bytes}}`, 'g')) ?? []
      const expected = nan
        .toString(16)
        .padStart(2 * bytes, '0')
        .match(/../g)!
        .reverse()
        .join('')
      expect(codes.slice(0, 14)).toEqual(new Array(14).fill(expected))
      expect(codes.slice(14)).toHaveLength(2)
      expect(codes.slice(14)).not.toContain(expected)
    }),
)
