import { describe, expect, test } from 'vitest'
import { decode, decodingTables, encode, type SmallFloat } from '#src/kernels/convert.js'
import { anyFloats, kernels, normals, put, written, writtenFloats } from './memory-of.js'

/** `finite` is the number of finite codes of one sign; `tiny` the smallest number above 0; `one` the code of 1. */
const FORMATS = {
  F16: {
    codes: Uint16Array,
    finite: 0x7c00,
    mantissa: 10,
    tiny: 2 ** -24,
    largest: 65504,
    one: 0x3c00,
    overflow: 0x7c00,
  },
  BF16: {
    codes: Uint16Array,
    finite: 0x7f80,
    mantissa: 7,
    tiny: 2 ** -133,
    largest: 3.3895313892515355e38,
    one: 0x3f80,
    overflow: 0x7f80,
  },
  F8_E4M3: { codes: Uint8Array, finite: 0x7f, mantissa: 3, tiny: 2 ** -9, largest: 448, one: 0x38, overflow: 0x7f },
  F8_E5M2: { codes: Uint8Array, finite: 0x7c, mantissa: 2, tiny: 2 ** -16, largest: 57344, one: 0x3c, overflow: 0x7c },
} as const satisfies Record<SmallFloat, object>

const bitsOf = (x: Float32Array): Uint32Array => new Uint32Array(x.buffer, x.byteOffset, x.length)

/** The float32 next to a positive one. */
const beside = (value: number, step: 1 | -1): number => {
  const x = Float32Array.of(value)
  bitsOf(x)[0]! += step
  return x[0]!
}

const formats = Object.entries(FORMATS) as [SmallFloat, (typeof FORMATS)[SmallFloat]][]

describe.each(formats)('%s', (dtype, { codes, finite, mantissa, tiny, largest, one, overflow }) => {
  const codesFrom = (first: number, end: number): Uint8Array | Uint16Array => {
    const list = new codes(end - first)
    for (let i = 0; i < list.length; i++) list[i] = first + i
    return list
  }
  const all = decode(dtype, codesFrom(0, finite))
  const sign = codes === Uint8Array ? 0x80 : 0x8000
  const encodeOne = (value: number): number => encode(dtype, Float32Array.of(value))[0]!

  test('the codes of one sign are an even ladder whose step doubles with each exponent', () => {
    expect([all[0], all[1], all[one], all[finite - 1]]).toEqual([0, tiny, 1, largest])
    const steps = all.subarray(1).map((value, i) => value - all[i]!)
    expect(steps.every((step, code) => step === tiny * 2 ** (Math.max(1, code >> mantissa) - 1))).toBe(true)
  })

  test('what is halfway between two codes goes to the even one, and the rest to the nearer', () => {
    const values: number[] = []
    const expected: number[] = []
    for (let code = 0; code + 1 < finite; code++) {
      const middle = (all[code]! + all[code + 1]!) / 2
      values.push(all[code]!, beside(middle, -1), middle, beside(middle, 1))
      expected.push(code, code, code % 2 === 0 ? code : code + 1, code + 1)
    }
    expect(encode(dtype, Float32Array.from(values)).join() === expected.join()).toBe(true)
    expect(
      encode(
        dtype,
        Float32Array.from(values, (v) => -v),
      ).join() === expected.map((code) => code | sign).join(),
    ).toBe(true)
  })

  test('a number too large becomes infinity, or NaN where there is none', () => {
    const step = largest - all[finite - 2]!
    const border = largest + step / 2
    // The largest of F8_E4M3 has an even code and keeps the tie; of the others the tie goes up.
    expect(encodeOne(beside(border, -1))).toBe(finite - 1)
    expect(encodeOne(border)).toBe(dtype === 'F8_E4M3' ? finite - 1 : overflow)
    expect([beside(border, 1), 3.4028e38, Infinity].map(encodeOne)).toEqual([overflow, overflow, overflow])
    expect(encodeOne(-Infinity)).toBe(overflow | sign)
  })

  test('NaN stays NaN with its sign, and what is above the finite codes is not finite', () => {
    const nan = new Float32Array(Uint32Array.of(0x7f800001, 0xff800001, 0x7fffffff).buffer)
    const [a, b, c] = encode(dtype, nan) as unknown as [number, number, number]
    expect(c).toBe(a)
    expect(b).toBe(a | sign)
    expect([...bitsOf(decode(dtype, codes.of(a, b)))]).toEqual([0x7fc00000, 0xffc00000])
    expect(decode(dtype, codesFrom(finite, sign)).some(Number.isFinite)).toBe(false)
  })

  test('every negative code is the negative of its positive one', () => {
    const negative = bitsOf(decode(dtype, codesFrom(sign, sign + finite)))
    expect(negative.every((bits, code) => bits === (bitsOf(all)[code]! | 0x80000000) >>> 0)).toBe(true)
  })
})

test.each([
  ['F8_E4M3', kernels.decodeF8E4M3, kernels.encodeF8E4M3],
  ['F8_E5M2', kernels.decodeF8E5M2, kernels.encodeF8E5M2],
] as const)('%s: the kernels equal the plain conversions in every bit', (dtype, decodeKernel, encodeKernel) => {
  const codes = Uint8Array.from({ length: 256 }, (_, code) => code)
  for (const n of [0, 1, 2, 3, 5, 255, 256]) {
    const some = codes.subarray(256 - n)
    const got = writtenFloats(n, n % 5, (at) => decodeKernel(put(some, n % 3), n, at))
    expect(Buffer.from(got.buffer).equals(Buffer.from(decode(dtype, some).buffer))).toBe(true)
  }
  for (const x of [
    anyFloats(50_001, 1),
    normals(50_002, 2),
    normals(50_003, 3).map((v) => v * 2 ** -12),
    normals(10, 4),
  ]) {
    const got = written(x.length, x.length % 5, (at) => encodeKernel(put(x, x.length % 7), x.length, at))
    expect(Buffer.from(got).equals(Buffer.from(encode(dtype, x)))).toBe(true)
  }
})

test('BF16: the kernels equal the plain conversions in every bit, and a NaN that is decoded keeps its own', () => {
  const codes = Uint16Array.from({ length: 1 << 16 }, (_, code) => code)
  for (const n of [0, 1, 7, 8, 9, 1 << 16]) {
    const some = codes.subarray(codes.length - n)
    const got = bitsOf(writtenFloats(n, n % 5, (at) => kernels.decodeBF16(put(some, 2 * (n % 3)), n, at)))
    expect([...got.slice(0, 9)]).toEqual([...some.slice(0, 9)].map((code) => code * 65536))
    const plain = bitsOf(decode('BF16', some))
    expect(got.every((bits, i) => bits === plain[i] || (some[i]! & 0x7fff) > 0x7f80)).toBe(true)
  }
  for (const x of [
    anyFloats(50_001, 1),
    normals(50_002, 2),
    normals(50_003, 3).map((v) => v * 2 ** -120),
    normals(10, 4),
  ]) {
    const got = written(2 * x.length, x.length % 5, (at) => kernels.encodeBF16(put(x, x.length % 7), x.length, at))
    expect(Buffer.from(got).equals(Buffer.from(encode('BF16', x).buffer))).toBe(true)
  }
})

test('F16: the kernel equals the plain conversion in every bit, and NaN stays NaN', () => {
  const codes = Uint16Array.from({ length: 1 << 16 }, (_, code) => code)
  for (const n of [0, 1, 7, 8, 9, 1 << 16]) {
    const some = codes.subarray(codes.length - n)
    const got = writtenFloats(n, n % 5, (at) => kernels.decodeF16(put(some, 2 * (n % 3)), n, at))
    const plain = decode('F16', some)
    expect(plain.every((value, i) => Object.is(got[i], value))).toBe(true)
  }
})

test('the tables hold the value of every code', () => {
  const { F8_E4M3, F8_E5M2, BF16 } = decodingTables()
  expect([F8_E4M3.length, F8_E4M3[0x7e], F8_E4M3[0xb8], F8_E4M3[0x7f]]).toEqual([256, 448, -1, NaN])
  expect([BF16.length, BF16[0x3f80], BF16[0xff80], BF16[1]]).toEqual([65536, 1, -Infinity, 2 ** -133])
  expect([F8_E5M2.length, F8_E5M2[0x7b], F8_E5M2[0xbc], F8_E5M2[0xfc]]).toEqual([256, 57344, -1, -Infinity])
})
