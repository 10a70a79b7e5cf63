// Compares tensors of small files that smelt and another program made of the same inputs.
import { readFileSync } from 'node:fs'
import { decode, encode } from '../../dist/kernels/convert.js'

export const DTYPES = ['f32', 'f16', 'bf16']
/** Digits of a number in each dtype, its hidden one included, and the exponent of its smallest normal number. */
const PRECISION = { f32: [24, -126], f16: [11, -14], bf16: [8, -126] }

/** The tensors of a small file as float32 numbers. */
export const readTensors = (path) => {
  const bytes = readFileSync(path)
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString())
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            dtype,
            data_offsets: [begin, end],
          },
        ]) => {
          const { buffer } = Uint8Array.from(bytes.subarray(8 + length + begin, 8 + length + end))
          return [name, dtype === 'F32' ? new Float32Array(buffer) : decode(dtype, new Uint16Array(buffer))]
        },
      ),
  )
}

const rounded = (values, dtype) =>
  dtype === 'f32' ? values : decode(dtype.toUpperCase(), encode(dtype.toUpperCase(), values))

/** One unit in the last place of a dtype at a number. */
const unitAt = (x, dtype) => {
  const [digits, least] = PRECISION[dtype]
  return 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x) || 2 ** least)), least) - digits + 1)
}

/** How far tensors are from those that another program made, in float32, once these are rounded to a dtype. */
export const compare = (ours, theirs, dtype) => {
  let [elements, unlike, beyond, relative] = [0, 0, 0, 0]
  for (const [name, expected] of theirs) {
    const wanted = rounded(expected, dtype)
    const found = ours.get(name)
    const greatest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
    for (const [i, x] of wanted.entries()) {
      elements++
      const difference = Math.abs(x - found[i])
      if (difference === 0) continue
      unlike++
      if (difference > unitAt(Math.max(Math.abs(x), Math.abs(found[i])), dtype)) beyond++
      relative = Math.max(relative, difference / greatest)
    }
  }
  return { elements, unlike, beyond, relative }
}

/** A share in percent. */
export const share = (part, whole) => (part === 0 ? '0' : `${((100 * part) / whole).toPrecision(2)} %`)
