// Tiny models with the names of real architectures and shapes a sixtieth of theirs: a base and three fine-tunes.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { decode, encode } from '../../dist/kernels/convert.js'

/** The architectures, the tensors that are taken of each, and what their axes are divided by. */
export const ARCHITECTURES = {
  llama: { table: 'llama-2-7b', take: /embed|lm_head|layers\.[01]\.|model\.norm/, shrink: 64 },
  mistral: { table: 'mistral-7b-v0.1', take: /embed|lm_head|layers\.[01]\.|model\.norm/, shrink: 64 },
  qwen2: { table: 'qwen2-7b', take: /embed|lm_head|layers\.[01]\.|model\.norm/, shrink: 64 },
  sd15: { table: 'sd15', take: /diffusion_model\.(time_embed|input_blocks\.[0124]|out)\./, shrink: 10 },
}

/** One layer, for methods that are run many times. */
export const RANDOM_MODEL = { table: 'llama-2-7b', take: /layers\.0\./, shrink: 64 }

export const NAMES = ['base', 'a', 'b', 'c']

const DTYPES = { f32: { name: 'F32', bytes: 4 }, f16: { name: 'F16', bytes: 2 }, bf16: { name: 'BF16', bytes: 2 } }

/** Numbers in 0 ≤ u < 1, the same for the same seed. */
const randomFrom = (seed) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())

const sizeOf = (shape) => shape.reduce((n, d) => n * d, 1)

const tableOf = ({ table, take, shrink }) => {
  const file = new URL(`../../test/data/arch/${table}.json.gz`, import.meta.url)
  return Object.entries(JSON.parse(gunzipSync(readFileSync(file))))
    .filter(([name]) => take.test(name))
    .map(([name, [, shape]]) => [name, shape.map((d) => (d >= 4 * shrink ? Math.round(d / shrink) : d))])
}

/** Writes the tensors of a model. */
export const writeModel = (path, dtype, tensors) => {
  const { name: stored, bytes } = DTYPES[dtype]
  let end = 0
  const header = { __metadata__: { format: 'pt' } }
  for (const [name, { shape, values }] of tensors) {
    const begin = end
    end += bytes * values.length
    header[name] = { dtype: stored, shape, data_offsets: [begin, end] }
  }
  const text = JSON.stringify(header)
  const padded = text.padEnd(Math.ceil(text.length / 8) * 8)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(padded.length))
  const data = [...tensors].map(([, { values }]) => {
    const codes = dtype === 'f32' ? values : encode(stored, values)
    return Buffer.from(codes.buffer, codes.byteOffset, codes.byteLength)
  })
  writeFileSync(path, Buffer.concat([length, Buffer.from(padded), ...data]))
}

/** Writes the four models of an architecture in a dtype; gives their paths by name. */
export const makeModels = (folder, architecture, dtype) => {
  const table = tableOf(architecture)
  const base = new Map()
  const paths = {}
  NAMES.forEach((name, model) => {
    const tensors = new Map(
      table.map(([tensor, shape], i) => {
        const random = randomFrom(7919 * i + model)
        const scale = shape.length < 2 ? 0.1 : 1 / Math.sqrt(sizeOf(shape.slice(1)))
        const before = base.get(tensor)?.values
        const values = Float32Array.from({ length: sizeOf(shape) }, (_, at) =>
          before === undefined
            ? (shape.length < 2 ? 1 : 0) + scale * normal(random)
            : before[at] + 0.05 * scale * normal(random),
        )
        return [tensor, { shape, values }]
      }),
    )
    if (model === 0) for (const entry of tensors) base.set(...entry)
    paths[name] = join(folder, `${name}.safetensors`)
    writeModel(paths[name], dtype, tensors)
  })
  return paths
}

/** The tensors of a file by name, as float32. */
export const readModel = (path) => {
  const bytes = readFileSync(path)
  const length = Number(bytes.readBigUInt64LE())
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length))
  const file = new Map()
  for (const [name, { dtype, shape, data_offsets: [begin, end] = [] }] of Object.entries(header)) {
    if (name === '__metadata__') continue
    const part = bytes.subarray(8 + length + begin, 8 + length + end)
    const copy = new Uint8Array(part).buffer
    file.set(name, { shape, values: dtype === 'F32' ? new Float32Array(copy) : decode(dtype, new Uint16Array(copy)) })
  }
  return file
}
