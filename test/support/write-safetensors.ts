import { truncateSync, writeFileSync } from 'node:fs'
import { encode } from '#src/kernels/convert.js'
import { layoutFile } from '#src/safetensors/layout.js'
import { sizeOf } from '#src/tensor/info.js'

/** A tensor to write: `values` in row-major order, or one value for every element. */
export interface TensorValues {
  readonly dtype:
    | 'F32'
    | 'F64'
    | 'F16'
    | 'BF16'
    | 'F8_E4M3'
    | 'F8_E5M2'
    | 'F8_E8M0'
    | 'U8'
    | 'I8'
    | 'I32'
    | 'I64'
    | 'BOOL'
  readonly shape: readonly number[]
  readonly values: readonly number[] | number
}

const encodeValues = (dtype: TensorValues['dtype'], values: readonly number[]): ArrayBufferView => {
  switch (dtype) {
    case 'F32':
      return Float32Array.from(values)
    case 'F64':
      return Float64Array.from(values)
    case 'I64':
      return BigInt64Array.from(values, BigInt)
    case 'I32':
      return Int32Array.from(values)
    case 'I8':
      return Int8Array.from(values)
    // Of F8_E8M0 the codes.
    case 'BOOL':
    case 'U8':
    case 'F8_E8M0':
      return Uint8Array.from(values)
    default:
      return encode(dtype, Float32Array.from(values))
  }
}

/** Writes a small safetensors file. */
export const writeSafetensors = (
  path: string,
  tensors: Readonly<Record<string, TensorValues>>,
  metadata: Readonly<Record<string, string>> = {},
): void => {
  const layout = layoutFile(
    Object.entries(tensors).map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
    metadata,
  )
  const bytes = new Uint8Array(layout.bytes)
  bytes.set(layout.header)
  for (const [name, { begin, end }] of layout.offsets) {
    const { dtype, shape, values } = tensors[name]!
    const data = encodeValues(
      dtype,
      typeof values === 'number' ? new Array<number>(sizeOf(shape)).fill(values) : values,
    )
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), begin)
    if (data.byteLength !== end - begin)
      throw new Error(`${name} has ${data.byteLength} bytes of values for a shape of ${end - begin}`)
  }
  writeFileSync(path, bytes)
}

/** Writes a file of any size that takes no room: a header, and a hole that reads as zeros. */
export const writeHollow = (
  path: string,
  tensors: Readonly<Record<string, Pick<TensorValues, 'dtype' | 'shape'>>>,
): void => {
  const layout = layoutFile(
    Object.entries(tensors).map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
    {},
  )
  writeFileSync(path, layout.header)
  truncateSync(path, layout.bytes)
}
