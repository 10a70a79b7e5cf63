// Prints what each host kernel costs, in nanoseconds an element: `node bench/kernels.mjs`.
import { decode, encode } from '../dist/kernels/convert.js'
import { deriveKey } from '../dist/kernels/key.js'
import { loadKernels } from '../dist/kernels/kernels.js'
import { HIGH_BINS, LOW_BINS, RANGE } from '../dist/kernels/selection.js'

const N = 2 ** 18
const ROUNDS = 9
const REPEATS = 10

const kernels = loadKernels()
const key = deriveKey({ seed: 1, step: 'bench', draw: 0, tensor: 'weight' })
const x = kernels.alloc(4 * N)
const y = kernels.alloc(4 * N)
const zeros = kernels.alloc(8 * N)
const same = kernels.alloc(4 * N)
const mask = kernels.alloc(N)
const bits = kernels.alloc(N / 8)
const codes = kernels.alloc(N)
const high = kernels.alloc(4 * HIGH_BINS)
const low = kernels.alloc(4 * LOW_BINS)
const range = kernels.alloc(4 * RANGE * LOW_BINS)
const pairs = kernels.alloc(8 * HIGH_BINS)
kernels.gaussian(x, 0, N, key)
kernels.view(Float32Array, same, N).fill(0.5)
kernels.bernoulli(mask, 0, N, key, 0.5)
kernels.encodeF8E4M3(x, N, codes)
const values = kernels.view(Float32Array, x, N)
const f16 = encode('F16', values)

const cases = {
  bernoulli: () => kernels.bernoulli(mask, 0, N, key, 0.1),
  uniform: () => kernels.uniform(y, 0, N, key),
  gaussian: () => kernels.gaussian(y, 0, N, key),
  'partition, 3 parts': () => kernels.partition(codes, 0, N, key, [1, 2, 3]),
  'histogramHigh, normal values': () => kernels.histogramHigh(x, N, high),
  'histogramHigh, equal values': () => kernels.histogramHigh(same, N, high),
  'histogramLow, 1 of 200': () => kernels.histogramLow(x, N, 0x3f800000 >>> 15, low),
  'histogramLow, all': () => kernels.histogramLow(same, N, 0x3f000000 >>> 15, low),
  'histogramRange, normal values': () => kernels.histogramRange(x, N, (0x3f800000 >>> 15) - 3, range),
  'takePairs (per element of the chunk)': () => kernels.takePairs(high, HIGH_BINS, pairs),
  encodeBF16: () => kernels.encodeBF16(x, N, y),
  decodeBF16: () => kernels.decodeBF16(same, N, y),
  sum: () => kernels.sum(x, N),
  sumAbs: () => kernels.sumAbs(x, N),
  dot: () => kernels.dot(x, y, N),
  'lowRankRows, rank 32': () => kernels.lowRankRows(y, 128, 128, x, 32, same, 128, N / 128),
  'exactRows, rank 32': () => kernels.exactRows(y, 128, 128, x, 32, same, 128, N / 128),
  'areExact (per number of two factors)': () => kernels.areExact(same, N / 2, same, N / 2),
  sumMask: () => kernels.sumMask(mask, N),
  'firstNonFinite F8_E4M3': () => kernels.firstNonFinite(zeros, N, 'F8_E4M3'),
  'firstNonFinite F16': () => kernels.firstNonFinite(zeros, N, 'F16'),
  'firstNonFinite F32': () => kernels.firstNonFinite(zeros, N, 'F32'),
  'firstNonFinite F64': () => kernels.firstNonFinite(zeros, N, 'F64'),
  packBits: () => kernels.packBits(mask, N, bits),
  unpackBits: () => kernels.unpackBits(bits, N, mask),
  decodeF8E4M3: () => kernels.decodeF8E4M3(codes, N, y),
  encodeF8E4M3: () => kernels.encodeF8E4M3(x, N, codes),
  decodeF8E5M2: () => kernels.decodeF8E5M2(codes, N, y),
  encodeF8E5M2: () => kernels.encodeF8E5M2(x, N, codes),
  'decode F16 (JavaScript)': () => decode('F16', f16),
  'encode F16 (JavaScript)': () => encode('F16', values),
}

const time = (run) => {
  const start = performance.now()
  for (let i = 0; i < REPEATS; i++) run()
  return ((performance.now() - start) * 1e6) / (REPEATS * N)
}

const measure = (run) => {
  // Long enough for the engine to have replaced its quick first translation by the good one.
  for (let i = 0; i < 5; i++) time(run)
  const times = Array.from({ length: ROUNDS }, () => time(run)).sort((p, q) => p - q)
  return times[ROUNDS >> 1]
}

console.log(`ns per element, ${N} elements, median of ${ROUNDS}`)
for (const [name, run] of Object.entries(cases)) console.log(`${name.padEnd(36)}${measure(run).toFixed(3).padStart(8)}`)
