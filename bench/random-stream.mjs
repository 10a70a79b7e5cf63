// Writes random bits to stdout without end, for programs that judge them: `node bench/random-stream.mjs one |
// interleaved`.
// `one` is the stream of one key; `interleaved` takes one element after the other from 16 keys that differ in their
// lowest bits.
import { writeSync } from 'node:fs'
import { loadKernels } from '../dist/kernels/kernels.js'

const KEYS = process.argv[2] === 'interleaved' ? 16 : 1
const N = 2 ** 16

const kernels = loadKernels()
const at = kernels.alloc(4 * N)
const stream = kernels.view(Uint32Array, at, N)
const out = new Uint32Array(N * KEYS)

const writeAll = (bytes) => {
  for (let done = 0; done < bytes.length;) done += writeSync(1, bytes, done)
}

try {
  for (let start = 0; ; start += N) {
    for (let k1 = 0; k1 < KEYS; k1++) {
      kernels.randomBits(at, start, N, { k0: 0, k1 })
      for (let i = 0; i < N; i++) out[i * KEYS + k1] = stream[i]
    }
    writeAll(new Uint8Array(out.buffer))
  }
} catch (error) {
  if (error.code !== 'EPIPE') throw error
}
