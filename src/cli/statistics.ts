import { closeSync, openSync } from 'node:fs'
import type { Diagnostic } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { decode } from '../kernels/convert.js'
import { ioProblem } from '../safetensors/io-problem.js'
import { readNumbers } from '../run/stored-numbers.js'
import { readFully } from '../safetensors/positional.js'
import { visitRuns } from '../tensor/block-grid.js'
import { READ_ONLY } from '../safetensors/regular-file.js'
import { bytesFor, type Dtype } from '../tensor/dtype.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import type { Scaled } from '../tensor/quantised.js'
import type { Statistics } from '../view/inspect.js'

type Numbers = ArrayLike<number>

/** How the bytes of each dtype that holds plain numbers become numbers. */
const READERS: Readonly<Partial<Record<Dtype, (bytes: ArrayBuffer) => Numbers>>> = {
  BOOL: (b) => new Uint8Array(b),
  U8: (b) => new Uint8Array(b),
  I8: (b) => new Int8Array(b),
  U16: (b) => new Uint16Array(b),
  I16: (b) => new Int16Array(b),
  U32: (b) => new Uint32Array(b),
  I32: (b) => new Int32Array(b),
  U64: (b) => Float64Array.from(new BigUint64Array(b), Number),
  I64: (b) => Float64Array.from(new BigInt64Array(b), Number),
  F8_E4M3: (b) => decode('F8_E4M3', new Uint8Array(b)),
  F8_E5M2: (b) => decode('F8_E5M2', new Uint8Array(b)),
  F16: (b) => decode('F16', new Uint16Array(b)),
  BF16: (b) => decode('BF16', new Uint16Array(b)),
  F32: (b) => new Float32Array(b),
  F64: (b) => new Float64Array(b),
}

type Moments = Record<'n' | 'mean' | 'squares' | 'power' | 'min' | 'max' | 'nan' | 'infinite' | 'zeros', number>

/**
 * Adds a chunk. `squares` is the sum of squared distances to the mean; combining chunks by theirs (Chan et al. 1983)
 * stays exact
 * where the difference of two sums would cancel.
 */
const addChunk = (m: Moments, values: Numbers): void => {
  let [n, sum, power, nan, infinite, zeros] = [0, 0, 0, 0, 0, 0]
  for (let i = 0; i < values.length; i++) {
    const x = values[i]!
    if (x !== x) nan++
    else if (x === Infinity || x === -Infinity) infinite++
    else {
      n++
      sum += x
      power += x * x
      if (x === 0) zeros++
      if (x < m.min) m.min = x
      if (x > m.max) m.max = x
    }
  }
  m.nan += nan
  m.infinite += infinite
  m.zeros += zeros
  m.power += power
  if (n === 0) return
  const mean = sum / n
  let squares = 0
  for (let i = 0; i < values.length; i++) {
    const d = values[i]! - mean
    if (Number.isFinite(d)) squares += d * d
  }
  const all = m.n + n
  const apart = mean - m.mean
  m.squares += squares + (apart * apart * m.n * n) / all
  m.mean += (apart * n) / all
  m.n = all
}

/** Elements read at a time, which bounds the memory whatever the tensor's size. */
const CHUNK = 1 << 18

/** How stored numbers, the first of them element `from`, become those they mean. */
type Scaling = (values: Numbers, from: number) => Numbers

const measureTensor = (
  fd: number,
  info: TensorInfo,
  read: (bytes: ArrayBuffer) => Numbers,
  scale: Scaling,
): Result<Statistics> => {
  const m: Moments = {
    n: 0,
    mean: 0,
    squares: 0,
    power: 0,
    min: Infinity,
    max: -Infinity,
    nan: 0,
    infinite: 0,
    zeros: 0,
  }
  const size = sizeOf(info.shape)
  for (let from = 0; from < size; from += CHUNK) {
    const bytes = new ArrayBuffer(bytesFor(Math.min(CHUNK, size - from), info.dtype))
    const problem = readFully(fd, info.file, new Uint8Array(bytes), info.begin + bytesFor(from, info.dtype))
    if (problem !== undefined) return failed(problem)
    addChunk(m, scale(read(bytes), from))
  }
  const known = m.n > 0
  return ok({
    mean: known ? m.mean : null,
    std: known ? Math.sqrt(m.squares / m.n) : null,
    min: known ? m.min : null,
    max: known ? m.max : null,
    norm: Math.sqrt(m.power),
    nan: m.nan,
    infinite: m.infinite,
    zeros: m.zeros,
  })
}

/** All factors of a scale, which may lie in another shard than what it scales. */
const readScale = (scale: TensorInfo): Float32Array | Diagnostic => {
  let fd: number | undefined
  try {
    fd = openSync(scale.file, READ_ONLY)
    return readNumbers(fd, scale, 0, sizeOf(scale.shape))
  } catch (error) {
    return ioProblem(error, scale.file, 'read')
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/**
 * Multiplies by the scale of a tensor, rounding to float32 as a build does; leaves the numbers of one without a scale
 * as they are.
 */
const scalingOf = (scaled: Scaled | undefined): Result<Scaling> => {
  if (scaled === undefined) return ok((values) => values)
  const { scale, grid } = scaled
  const factors = readScale(scale)
  if ('code' in factors) return failed(factors)
  return ok((values, from) => {
    const out = Float32Array.from(values)
    visitRuns(grid, from, out.length, (at, length, block) => {
      for (let i = at; i < at + length; i++) out[i]! *= factors[block]!
    })
    return out
  })
}

/**
 * Statistics of tensors by name, in float64, of scaled ones after scaling; tensors whose dtype holds no plain numbers
 * are left out.
 */
export const measureTensors = (
  tensors: readonly TensorInfo[],
  scaled: ReadonlyMap<string, Scaled> = new Map(),
): Result<ReadonlyMap<string, Statistics>> => {
  const found = new Map<string, Statistics>()
  const problems: Diagnostic[] = []
  for (const file of new Set(tensors.map((t) => t.file))) {
    let fd: number
    try {
      fd = openSync(file, READ_ONLY)
    } catch (error) {
      problems.push(ioProblem(error, file, 'read'))
      continue
    }
    for (const info of tensors) {
      const read = READERS[info.dtype]
      if (info.file !== file || read === undefined) continue
      const scaling = scalingOf(scaled.get(info.name))
      const result = scaling.type === 'ok' ? measureTensor(fd, info, read, scaling.value) : scaling
      if (result.type === 'ok') found.set(info.name, result.value)
      else append(problems, result.diagnostics)
    }
    closeSync(fd)
  }
  return problems.length > 0 ? failed(...problems) : ok(found)
}
