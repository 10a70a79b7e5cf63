// Makes checkpoints with the names and shapes of real models: seeded, with values in realistic ranges, at the speed of
// memory.
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { encode, decode } from '../dist/kernels/convert.js'

/**
 * Elements of a block of random values; a tensor is cut from a block of its kind, over and over, from an offset of its
 * own.
 */
const BLOCK = 1 << 20
const BYTES = { I64: 8, F16: 2 }

/**
 * How far a fine-tune's weights lie from the base's, as a share of the base's standard deviation, by part of the model.
 * What a fine-tune
 * does not train is the same to the bit.
 */
const MODELS = {
  base: {},
  a: { seed: 1, denoiser: 0.02 },
  b: { seed: 2, denoiser: 0.03, text: 0.01 },
  c: { seed: 3, denoiser: 0.015 },
}

/** A diagonal of Fisher information is positive: six and a half deviations keep it so. */
const FISHER = { mean: 1, std: 0.15 }

/** The layers that a file of Gram matrices has some of; others are averaged. */
const GRAM = /\.attn1\.to_(q|k|v)\.weight$/

/**
 * The table of an architecture, floats as F16: `[name, dtype, shape]` in the order of the file, wider types first as
 * the reference writes them.
 */
export const readTable = (architecture, { shrink = false } = {}) => {
  const file = new URL(`../test/data/arch/${architecture}.json.gz`, import.meta.url)
  const table = Object.entries(JSON.parse(gunzipSync(readFileSync(file)))).map(([name, [dtype, shape]]) => [
    name,
    dtype === 'I64' ? 'I64' : 'F16',
    shrink && dtype !== 'I64' && !TELLING.test(name) ? shape.map(quarter) : shape,
  ])
  return [...table.filter(([, dtype]) => dtype === 'I64'), ...table.filter(([, dtype]) => dtype !== 'I64')]
}

/** Tensors that keep their shape in a small model: from them smelt tells which architecture it is. */
const TELLING = /\.input_blocks\.(0\.0|4\.1\.transformer_blocks\.0\.attn2\.to_k)\.weight$/

/** A quarter of every channel axis makes a sixteenth of a model. */
const quarter = (n) => (n >= 64 ? Math.ceil(n / 4) : n)

const sizeOf = (shape) => shape.reduce((n, d) => n * d, 1)

/** Bytes of a table's tensors. */
export const bytesOf = (table) => table.reduce((n, [, dtype, shape]) => n + sizeOf(shape) * BYTES[dtype], 0)

/**
 * Starts a safetensors file of a table; `place` gives each entry and the byte it begins at. The file is sparse until
 * written to.
 */
const startFile = (path, table, place) => {
  let end = 0
  const spans = table.map(([name, dtype, shape]) => {
    const begin = end
    end += sizeOf(shape) * BYTES[dtype]
    return [name, { dtype, shape, data_offsets: [begin, end] }]
  })
  const json = JSON.stringify(Object.fromEntries(spans))
  const text = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  const fd = openSync(path, 'w')
  try {
    ftruncateSync(fd, 8 + text.length + end)
    writeSync(fd, length, 0, 8, 0)
    writeSync(fd, text, 0, text.length, 8)
    table.forEach((entry, i) => place(fd, entry, 8 + text.length + spans[i][1].data_offsets[0]))
  } finally {
    closeSync(fd)
  }
}

const hash = (text) => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return (h ^ (h >>> 15)) >>> 0
}

/** A block of normal numbers, by Marsaglia's polar method on a 32-bit xorshift. */
const normals = (seed) => {
  let state = hash(`normals ${seed}`) | 1
  const uniform = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 31 - 1
  }
  const out = new Float32Array(BLOCK)
  for (let i = 0; i < BLOCK;) {
    const [u, v] = [uniform(), uniform()]
    const s = u * u + v * v
    if (s >= 1 || s === 0) continue
    const scale = Math.sqrt((-2 * Math.log(s)) / s)
    out[i++] = u * scale
    out[i++] = v * scale
  }
  return out
}

/** Mean and standard deviation of a tensor's values: norms near 1, small biases, and weights by their fan-in. */
const rangeOf = (name, shape) => {
  if (shape.length === 0) return { mean: 4.6, std: 0 }
  if (shape.length === 1) return name.endsWith('.weight') ? { mean: 1, std: 0.1 } : { mean: 0, std: 0.02 }
  return { mean: 0, std: name.includes('embedding') ? 0.02 : 0.7 / Math.sqrt(sizeOf(shape.slice(1))) }
}

const partOf = (name) =>
  /^(cond_stage_model|conditioner)\./.test(name)
    ? 'text'
    : name.startsWith('model.diffusion_model.')
      ? 'denoiser'
      : 'rest'

/** A maker of blocks of F16 bits that remembers those it made. */
const createBlocks = () => {
  const known = new Map()
  const remember = (key, make) => {
    if (!known.has(key)) known.set(key, make())
    return known.get(key)
  }
  const random = (seed) => remember(`random ${seed}`, () => normals(seed))
  const base = ({ mean, std }) =>
    remember(`base ${mean} ${std}`, () =>
      encode(
        'F16',
        random(0).map((z) => mean + std * z),
      ),
    )
  return (range, { seed, distance }) => {
    if (distance === 0) return base(range)
    return remember(`tuned ${range.mean} ${range.std} ${seed} ${distance}`, () => {
      const steps = random(seed)
      return encode(
        'F16',
        decode('F16', base(range)).map((x, i) => x + distance * range.std * steps[i]),
      )
    })
  }
}

const tile = (fd, block, offset, elements, begin) => {
  for (let done = 0; done < elements;) {
    const from = (offset + done) % BLOCK
    const count = Math.min(BLOCK - from, elements - done)
    writeSync(fd, block, from * 2, count * 2, begin + done * 2)
    done += count
  }
}

/**
 * Writes one of the models `base`, `a`, `b`, `c` to a file. One tensor in 16 of a fine-tune stays as the base has it.
 */
export const writeCheckpoint = (path, table, model, range = rangeOf) => {
  const { seed = 0, ...distances } = MODELS[model]
  const block = createBlocks()
  startFile(path, table, (fd, [name, dtype, shape], begin) => {
    if (dtype === 'I64') {
      writeSync(
        fd,
        BigInt64Array.from({ length: sizeOf(shape) }, (_, i) => BigInt(i)),
        0,
        sizeOf(shape) * 8,
        begin,
      )
      return
    }
    const distance = hash(`${model} ${name}`) % 16 === 0 ? 0 : (distances[partOf(name)] ?? 0)
    tile(fd, block(range(name, shape), { seed, distance }), hash(name) % BLOCK, sizeOf(shape), begin)
  })
}

/**
 * What kohya's scripts call the module of an SD1.5 or SDXL tensor; undefined unless it is in the UNet's attention or
 * feed-forward layers. SDXL's modules have the names of the original network there.
 */
const kohyaModule = (name, isXl) => {
  const match =
    /^model\.diffusion_model\.((input|middle|output)_blocks?(?:\.(\d+))?\.1\.(transformer_blocks\.\d+\.(?:attn|ff).+))\.weight$/.exec(
      name,
    )
  if (match === null || /\.norm\d?$/.test(match[1])) return undefined
  const [, path, part, block, module] = match
  if (isXl) return `lora_unet_${path.replaceAll('.', '_')}`
  const n = part === 'input' ? block - 1 : Number(block)
  const place =
    part === 'middle'
      ? 'mid_block_attentions_0'
      : `${part === 'input' ? 'down' : 'up'}_blocks_${Math.floor(n / 3)}_attentions_${n % 3}`
  return `lora_unet_${place}_${module.replaceAll('.', '_')}`
}

/** A LoRA's alpha, and the deviation of its up factors: at strength 1 and rank 16 the product moves weights by 2 %. */
const [ALPHA, UP_STD] = [8, 0.012]
/** The ranks of the adapters, by their names. */
const RANKS = { lora: 16, lora32: 32 }

const adapterTable = (table, rank) => {
  const isXl = table.some(([name]) => name.startsWith('conditioner.'))
  return table.flatMap(([name, , [out, fanIn]]) => {
    const module = kohyaModule(name, isXl)
    if (module === undefined) return []
    return [
      [`${module}.alpha`, 'F16', []],
      [`${module}.lora_down.weight`, 'F16', [rank, fanIn]],
      [`${module}.lora_up.weight`, 'F16', [out, rank]],
    ]
  })
}

/** Writes a LoRA for the UNet of a model with this table. */
const writeAdapter = (path, table, rank) => {
  const block = createBlocks()
  startFile(path, adapterTable(table, rank), (fd, [name, , shape], begin) => {
    const range = name.endsWith('.alpha')
      ? { mean: ALPHA, std: 0 }
      : { mean: 0, std: name.endsWith('.lora_up.weight') ? UP_STD : 1 / Math.sqrt(3 * shape[1]) }
    tile(fd, block(range, { seed: 0, distance: 0 }), hash(name) % BLOCK, sizeOf(shape), begin)
  })
}

const gramTable = (table) =>
  table.flatMap(([name, , [, fanIn]]) => (GRAM.test(name) ? [[name, 'F16', [fanIn, fanIn]]] : []))

/** Writes Gram matrices that are diagonal, each another one: how long a solution takes does not depend on the numbers. */
const writeGram = (path, table, seed) =>
  startFile(path, gramTable(table), (fd, [, , [n]], begin) => {
    const matrix = new Float32Array(n * n)
    for (let i = 0; i < n; i++) matrix[i * (n + 1)] = 1 + ((i * 7 + seed) % 13) / 8
    writeSync(fd, encode('F16', matrix), 0, matrix.length * 2, begin)
  })

/** Bytes of the tensors of an input that a merge reads, by its name as `writeInput` takes it. */
export const inputBytes = (table, name) =>
  bytesOf(name in RANKS ? adapterTable(table, RANKS[name]) : name.endsWith('_gram') ? gramTable(table) : table)

/**
 * Writes an input that a merge reads: one of the models, `lora` or `lora32`, an adapter for them, or the statistics of a model, as
 * in `a_fisher` and `a_gram`.
 */
export const writeInput = (path, table, name) => {
  const [model, statistics] = name.split('_')
  if (model in RANKS) writeAdapter(path, table, RANKS[model])
  else if (statistics === 'gram') writeGram(path, table, MODELS[model].seed)
  else writeCheckpoint(path, table, model, statistics === 'fisher' ? () => FISHER : rangeOf)
}

/** A table of 21 GB with one tensor of 4.4 GB, which crosses the 4 GiB that 32 bits can count. */
export const LARGE_TABLE = [
  ['embedding.weight', 'F16', [262144, 8448]],
  ...Array.from({ length: 40 }, (_, i) => [`layers.${i}.weight`, 'F16', [16384, 12800]]),
]

/**
 * Writes a file of a table that takes hardly any room: every tensor has values in its first and last thousand elements
 * and holes between.
 */
export const writeSparse = (path, table, seed) => {
  const values = encode('F16', normals(seed).subarray(0, 1000))
  startFile(path, table, (fd, [, dtype, shape], begin) => {
    const bytes = sizeOf(shape) * BYTES[dtype]
    const count = Math.min(bytes, values.byteLength)
    writeSync(fd, values, 0, count, begin)
    writeSync(fd, values, 0, count, begin + bytes - count)
  })
}
