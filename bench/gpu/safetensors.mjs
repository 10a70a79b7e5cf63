// Writes and reads small safetensors files of any dtype that smelt computes with.
import { readFileSync, writeFileSync } from 'node:fs'
import { decode, encode } from '../../dist/kernels/convert.js'

/** Bytes of an element. */
export const BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  BOOL: 1,
  U8: 1,
  I8: 1,
  I16: 2,
  U16: 2,
  I32: 4,
  U32: 4,
  I64: 8,
  U64: 8,
}

/** Elements of a shape. */
export const sizeOf = (shape) => shape.reduce((n, d) => n * d, 1)

const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

/** Numbers as the bytes of a dtype, rounded to nearest even. */
export const encodeNumbers = (dtype, numbers) => {
  switch (dtype) {
    case 'F64':
      return bytesOf(Float64Array.from(numbers))
    case 'F32':
      return bytesOf(Float32Array.from(numbers))
    case 'I64':
      return bytesOf(BigInt64Array.from(numbers, BigInt))
    case 'BOOL':
    case 'U8':
      return Uint8Array.from(numbers)
    default:
      return bytesOf(encode(dtype, Float32Array.from(numbers)))
  }
}

/**
 * Writes a file of `{ name: { dtype, shape, bytes } }`, wider types first, so that every tensor lies at a multiple of
 * its element.
 */
export const writeFile = (path, tensors) => {
  const sorted = Object.entries(tensors).sort(([, x], [, y]) => BYTES[y.dtype] - BYTES[x.dtype])
  let end = 0
  const header = Object.fromEntries(
    sorted.map(([name, { dtype, shape, bytes }]) => {
      const begin = end
      end += bytes.byteLength
      if (bytes.byteLength !== sizeOf(shape) * BYTES[dtype])
        throw new Error(`${name}: ${bytes.byteLength} bytes for [${shape}] of ${dtype}`)
      return [name, { dtype, shape, data_offsets: [begin, end] }]
    }),
  )
  const json = JSON.stringify(header)
  const text = Buffer.from(json.padEnd(json.length + ((8 - (Buffer.byteLength(json) % 8)) % 8)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  writeFileSync(path, Buffer.concat([length, text, ...sorted.map(([, { bytes }]) => bytes)]))
}

/** Reads a file: its header's text, and its tensors as `Map<name, { dtype, shape, bytes }>`. */
export const readFile = (path) => {
  const file = readFileSync(path)
  const start = 8 + Number(file.readBigUInt64LE())
  const text = file.toString('utf8', 8, start)
  const entries = Object.entries(JSON.parse(text)).filter(([name]) => name !== '__metadata__')
  return {
    header: text,
    tensors: new Map(
      entries.map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [begin, end],
          },
        ]) => [name, { dtype, shape, bytes: file.subarray(start + begin, start + end) }],
      ),
    ),
  }
}

/** The numbers of a tensor that {@link readFile} read. */
export const numbersOf = ({ dtype, bytes }) => {
  const own = Uint8Array.from(bytes)
  switch (dtype) {
    case 'F64':
      return [...new Float64Array(own.buffer)]
    case 'F32':
      return [...new Float32Array(own.buffer)]
    case 'F16':
    case 'BF16':
      return [...decode(dtype, new Uint16Array(own.buffer))]
    case 'F8_E4M3':
    case 'F8_E5M2':
      return [...decode(dtype, own)]
    case 'I64':
      return [...new BigInt64Array(own.buffer)].map(Number)
    default:
      return [...own]
  }
}
