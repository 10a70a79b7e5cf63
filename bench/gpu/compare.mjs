// Compares files that should be equal, byte by byte, and says of what differs how far it lies apart.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { numbersOf, readFile, sizeOf } from './safetensors.mjs'

/**
 * Bit patterns of a dtype as integers whose distance counts the numbers between two of them; `nan` is the first pattern
 * of a NaN without its sign.
 */
const FLOATS = {
  F32: { array: Uint32Array, bits: 32, nan: 0x7f800001 },
  F16: { array: Uint16Array, bits: 16, nan: 0x7c01 },
  BF16: { array: Uint16Array, bits: 16, nan: 0x7f81 },
  F8_E4M3: { array: Uint8Array, bits: 8, nan: 0x7f },
  F8_E5M2: { array: Uint8Array, bits: 8, nan: 0x7d },
}

const patternsOf = ({ dtype, bytes }) => {
  const own = Uint8Array.from(bytes).buffer
  if (dtype === 'F64') return new BigUint64Array(own)
  return new (FLOATS[dtype]?.array ?? Uint8Array)(own)
}

const isNan = (dtype, pattern) => {
  if (dtype === 'F64') return (pattern & 0x7fffffffffffffffn) > 0x7ff0000000000000n
  const format = FLOATS[dtype]
  return format !== undefined && pattern % 2 ** (format.bits - 1) >= format.nan
}

/** Where a pattern stands among all numbers of its dtype: both zeros are 0. That of F64 is no Number. */
const orderOf = (dtype, pattern) => {
  if (dtype === 'F64') return pattern >> 63n === 1n ? -(pattern & 0x7fffffffffffffffn) : pattern
  const half = 2 ** ((FLOATS[dtype]?.bits ?? 8) - 1)
  return FLOATS[dtype] === undefined || pattern < half ? pattern : half - pattern
}

const show = (dtype, pattern, number) => `${Object.is(number, -0) ? '-0' : number} (0x${pattern.toString(16)})`

const compareTensor = (name, left, right) => {
  if (left.dtype !== right.dtype || left.shape.join() !== right.shape.join())
    return { tensor: name, kind: 'shape', values: [left, right].map(({ dtype, shape }) => `${dtype} [${shape}]`) }
  if (Buffer.compare(left.bytes, right.bytes) === 0) return undefined
  const { dtype } = left
  const [a, b] = [patternsOf(left), patternsOf(right)]
  const found = { differing: 0, first: -1, ulps: 0, nans: 0, signs: 0, lost: 0 }
  for (let i = 0; i < a.length; i++) {
    if (a[i] === b[i]) continue
    found.differing++
    if (found.first < 0) found.first = i
    const [x, y] = [isNan(dtype, a[i]), isNan(dtype, b[i])]
    if (x && y) found.nans++
    else if (x || y) found.lost++
    else {
      const distance = Math.abs(Number(orderOf(dtype, a[i]) - orderOf(dtype, b[i])))
      if (distance === 0) found.signs++
      found.ulps = Math.max(found.ulps, distance)
    }
  }
  const width = left.bytes.byteLength / a.length
  const [x, y] = [left, right].map(
    ({ bytes }) => numbersOf({ dtype, bytes: bytes.subarray(found.first * width, (found.first + 1) * width) })[0],
  )
  // Whether one side alone has NaNs matters most, then how far numbers lie apart, then the signs of zeros and the bits
  // of NaNs.
  const kind =
    found.lost > 0 ? 'nan on one side' : found.ulps > 0 ? 'numbers' : found.signs > 0 ? 'sign of zero' : 'bits of nan'
  return {
    tensor: name,
    kind,
    dtype,
    elements: sizeOf(left.shape),
    differing: found.differing,
    first: found.first,
    values: [show(dtype, a[found.first], x), show(dtype, b[found.first], y)],
    ulps: found.ulps,
    nansOnOneSide: found.lost,
  }
}

/**
 * All differences of two files: tensors with their first element, both values and the largest distance in units of the
 * last place; and headers.
 */
export const compareFiles = (one, other) => {
  const [left, right] = [readFile(one), readFile(other)]
  const names = [...new Set([...left.tensors.keys(), ...right.tensors.keys()])]
  const found = names.flatMap((name) => {
    const [a, b] = [left.tensors.get(name), right.tensors.get(name)]
    if (a === undefined || b === undefined)
      return [
        {
          tensor: name,
          kind: 'missing',
          values: [a === undefined ? 'missing' : 'there', b === undefined ? 'missing' : 'there'],
        },
      ]
    return compareTensor(name, a, b) ?? []
  })
  if (left.header === right.header) return found
  const at = [...left.header].findIndex((c, i) => right.header[i] !== c)
  const near = (text) => text.slice(Math.max(0, at - 30), at + 60)
  return [...found, { tensor: '', kind: 'header', values: [near(left.header), near(right.header)] }]
}

const PIECE = 2 ** 26

/** Whether two files of any size have the same bytes. */
export const sameBytes = (one, other) => {
  const [a, b] = [openSync(one), openSync(other)]
  try {
    if (fstatSync(a).size !== fstatSync(b).size) return false
    const [left, right] = [Buffer.alloc(PIECE), Buffer.alloc(PIECE)]
    for (;;) {
      const [n, m] = [readSync(a, left, 0, PIECE, null), readSync(b, right, 0, PIECE, null)]
      if (n !== m || !left.subarray(0, n).equals(right.subarray(0, n))) return false
      if (n === 0) return true
    }
  } finally {
    closeSync(a)
    closeSync(b)
  }
}

const NAMES = { F32: 'f32', F16: 'f16', BF16: 'bf16', BOOL: 'bool' }

/**
 * What is wrong with a file of which the numbers are known, as sentences; empty where all lies within the tolerance.
 */
export const judgeFile = (path, { expect, tolerance: { rtol, atol }, falseMayBeAbsent }) => {
  const { tensors } = readFile(path)
  const missing = Object.keys(expect)
    .filter((name) => !tensors.has(name))
    .map((name) => `${name} is missing`)
  return [
    ...missing,
    ...[...tensors].flatMap(([name, tensor]) => {
      const wanted = expect[name]
      const values = numbersOf(tensor)
      if (wanted === undefined)
        return falseMayBeAbsent && values.every((x) => x === 0) ? [] : [`${name} is not expected`]
      if (NAMES[tensor.dtype] !== wanted.dtype || tensor.shape.join() !== wanted.shape.join())
        return [`${name} is ${tensor.dtype} [${tensor.shape}], not ${wanted.dtype} [${wanted.shape}]`]
      const at = wanted.values.findIndex((x, i) => !(Math.abs(values[i] - x) <= atol + rtol * Math.abs(x)))
      return at < 0 ? [] : [`${name}[${at}] is ${values[at]}, not ${wanted.values[at]}`]
    }),
  ]
}
