import type { Diagnostic } from '../base/diagnostic.js'
import { decode } from '../kernels/convert.js'
import { readFully } from '../safetensors/positional.js'
import { bytesFor, type Dtype } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'
import { viewBytes, type View } from '../tensor/view.js'
import { rangesOf, readRanges } from './read-ranges.js'

/** The powers of two that F8_E8M0 holds; float32 holds them all. */
const fromExponent = (code: number): number => (code === 255 ? NaN : 2 ** (code - 127))

const DECODERS: Readonly<Partial<Record<Dtype, (bytes: Uint8Array<ArrayBuffer>) => Float32Array>>> = {
  F32: (b) => new Float32Array(b.buffer),
  F64: (b) => new Float32Array(new Float64Array(b.buffer)),
  F16: (b) => decode('F16', new Uint16Array(b.buffer)),
  BF16: (b) => decode('BF16', new Uint16Array(b.buffer)),
  F8_E4M3: (b) => decode('F8_E4M3', b),
  F8_E5M2: (b) => decode('F8_E5M2', b),
  F8_E8M0: (b) => Float32Array.from(b, fromExponent),
}

const decoderOf = ({ name, file, dtype }: TensorInfo): ((bytes: Uint8Array<ArrayBuffer>) => Float32Array) => {
  const decoder = DECODERS[dtype]
  if (decoder === undefined) throw new Error(`${name} of ${file} is ${dtype}, which is neither a factor nor a scale`)
  return decoder
}

/** Reads a view of a small stored tensor into JavaScript's memory as float32. */
export const readView = (fd: number, view: View): Float32Array | Diagnostic => {
  const decoded = decoderOf(view.tensor)
  const bytes = new Uint8Array(viewBytes(view))
  return readRanges(fd, rangesOf(view), 0, bytes) ?? decoded(bytes)
}

/** Reads elements `first` to `end`, `end` exclusive, of a small stored tensor into JavaScript's memory as float32. */
export const readNumbers = (fd: number, info: TensorInfo, first: number, end: number): Float32Array | Diagnostic => {
  const decoded = decoderOf(info)
  const bytes = new Uint8Array(bytesFor(end - first, info.dtype))
  return readFully(fd, info.file, bytes, info.begin + bytesFor(first, info.dtype)) ?? decoded(bytes)
}
