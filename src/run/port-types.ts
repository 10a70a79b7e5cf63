import type { Tensor } from 'onnxruntime-node'
import type { PortType } from '../graph/program.js'

/** A typed array that holds the numbers of a port. */
export type Numbers =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigInt64Array
  | BigUint64Array

type ArrayType = {
  new (buffer: ArrayBufferLike, offset: number, length: number): Numbers
  readonly BYTES_PER_ELEMENT: number
}

/** How each port type appears to ONNX Runtime and as a typed array; half floats travel as their bits. */
export const PORT_TYPES: Readonly<Record<PortType, { readonly ort: Tensor.Type; readonly array: ArrayType }>> = {
  bool: { ort: 'bool', array: Uint8Array },
  u8: { ort: 'uint8', array: Uint8Array },
  i8: { ort: 'int8', array: Int8Array },
  u16: { ort: 'uint16', array: Uint16Array },
  i16: { ort: 'int16', array: Int16Array },
  u32: { ort: 'uint32', array: Uint32Array },
  i32: { ort: 'int32', array: Int32Array },
  u64: { ort: 'uint64', array: BigUint64Array },
  i64: { ort: 'int64', array: BigInt64Array },
  f16: { ort: 'float16', array: Uint16Array },
  f32: { ort: 'float32', array: Float32Array },
  f64: { ort: 'float64', array: Float64Array },
}
