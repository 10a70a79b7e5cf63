import { readFileSync, writeFileSync } from 'node:fs'
import { decode, encode } from '#src/kernels/convert.js'
import { layoutFile } from '#src/safetensors/layout.js'
import { openModel } from '#src/safetensors/model.js'
import type { Dtype } from '#src/tensor/dtype.js'
import { sizeOf } from '#src/tensor/info.js'
import { readTable } from '../architectures/tables.js'
import { makeRandom } from '../safetensors/files.js'

interface Numbers {
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly numbers: Float32Array
}

/** A small model in memory: floats widened to float32, and whole numbers as they are. */
export type Checkpoint = ReadonlyMap<string, Numbers>

/** Dimensions that architectures are recognised by, and that therefore stay true; all others shrink to 2. */
const TELLING: readonly (readonly [RegExp, number])[] = [
  [/\.input_blocks\.0\.0\.weight$/, 0],
  [/\.input_blocks\.4\.1\.transformer_blocks\.0\.attn2\.to_k\.weight$/, 1],
]

const shrink = (name: string, shape: readonly number[]): number[] =>
  shape.map((size, axis) =>
    TELLING.some(([pattern, telling]) => telling === axis && pattern.test(name)) ? size : Math.min(size, 2),
  )

/** What float16 makes of numbers. */
export const half = (numbers: Float32Array): Float32Array => decode('F16', encode('F16', numbers))

/** A checkpoint with the real names of an architecture and numbers that follow from the seed. */
export const makeBase = (architecture: string, seed: number): Checkpoint => {
  const random = makeRandom(seed)
  return new Map(
    [...readTable(architecture)].map(([name, { shape }]): readonly [string, Numbers] => {
      const small = shrink(name, shape)
      if (name.endsWith('position_ids'))
        return [
          name,
          { dtype: 'I64', shape: small, numbers: Float32Array.from({ length: sizeOf(small) }, (_, i) => i) },
        ]
      return [
        name,
        {
          dtype: 'F16',
          shape: small,
          numbers: half(Float32Array.from({ length: sizeOf(small) }, () => random() - 0.5)),
        },
      ]
    }),
  )
}

/** The same checkpoint after some training: every number moves a little, the whole numbers do not. */
export const train = (base: Checkpoint, seed: number): Checkpoint => {
  const random = makeRandom(seed)
  return new Map(
    [...base].map(([name, tensor]) => [
      name,
      tensor.dtype === 'F16'
        ? { ...tensor, numbers: half(tensor.numbers.map((x) => x + 0.1 * (random() - 0.5))) }
        : tensor,
    ]),
  )
}

/** What lies below a root, as a file of its own has it. */
export const partOf = (checkpoint: Checkpoint, root: string): Checkpoint =>
  new Map(
    [...checkpoint].flatMap(([name, tensor]) =>
      name.startsWith(`${root}.`) ? [[name.slice(root.length + 1), tensor] as const] : [],
    ),
  )

/** Writes a checkpoint as a safetensors file. */
export const writeCheckpoint = (path: string, checkpoint: Checkpoint): void => {
  const { header, offsets, bytes } = layoutFile(
    [...checkpoint].map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
    {},
  )
  const file = Buffer.alloc(bytes)
  file.set(header)
  for (const [name, { begin }] of offsets) {
    const { dtype, numbers } = checkpoint.get(name)!
    const codes = dtype === 'I64' ? BigInt64Array.from(numbers, BigInt) : encode('F16', numbers)
    file.set(new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength), begin)
  }
  writeFileSync(path, file)
}

/** Reads a file that smelt wrote. */
export const readCheckpoint = async (path: string): Promise<Checkpoint> => {
  const opened = await openModel(path)
  if (opened.type === 'failed') throw new Error(opened.diagnostics[0]!.message)
  const file = new Uint8Array(readFileSync(path))
  return new Map(
    [...opened.value.tensors.values()].map(({ name, dtype, shape, begin, end }): readonly [string, Numbers] => {
      const { buffer } = file.slice(begin, end)
      if (dtype === 'I64')
        return [name, { dtype, shape, numbers: Float32Array.from(new BigInt64Array(buffer), Number) }]
      if (dtype === 'BOOL') return [name, { dtype, shape, numbers: Float32Array.from(new Uint8Array(buffer)) }]
      return [name, { dtype, shape, numbers: decode(dtype as 'F16' | 'BF16', new Uint16Array(buffer)) }]
    }),
  )
}
