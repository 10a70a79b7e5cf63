import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ok, type Result } from '#src/base/result.js'
import { decode } from '#src/kernels/convert.js'
import { build, type BuildOptions } from '#src/run/build.js'
import { openModel } from '#src/safetensors/model.js'
import type { TensorInfo } from '#src/tensor/info.js'
import { inlineWorker } from './inline-worker.js'
import type { PlainFile, PlainTensor, RecipeRun } from './recipe-run.js'
import { writeRun } from './write-run.js'

const PLAIN = { F32: 'f32', F16: 'f16', BF16: 'bf16', BOOL: 'bool', I64: 'i64' } as const

const numbersOf = (info: TensorInfo, file: Buffer): readonly number[] => {
  const bytes = Uint8Array.from(file.subarray(info.begin, info.end))
  switch (info.dtype) {
    case 'F32':
      return [...new Float32Array(bytes.buffer)]
    case 'F64':
      return [...new Float64Array(bytes.buffer)]
    case 'F16':
    case 'BF16':
      return [...decode(info.dtype, new Uint16Array(bytes.buffer))]
    case 'F8_E4M3':
    case 'F8_E5M2':
      return [...decode(info.dtype, bytes)]
    case 'BOOL':
    case 'U8':
      return [...bytes]
    case 'I32':
      return [...new Int32Array(bytes.buffer)]
    case 'I64':
      return [...new BigInt64Array(bytes.buffer)].map(Number)
    default:
      throw new Error(`no test reads ${info.dtype}`)
  }
}

/** The numbers of every tensor of a checkpoint, which may be sharded. */
export const readTensors = async (
  path: string,
): Promise<
  Readonly<
    Record<
      string,
      { readonly dtype: TensorInfo['dtype']; readonly shape: readonly number[]; readonly values: readonly number[] }
    >
  >
> => {
  const model = await openModel(path)
  if (model.type === 'failed') throw new Error(model.diagnostics.map((d) => d.message).join('\n'))
  const files = new Map(model.value.files.map((f) => [f.path, readFileSync(f.path)]))
  return Object.fromEntries(
    [...model.value.tensors].map(([name, info]) => [
      name,
      { dtype: info.dtype, shape: info.shape, values: numbersOf(info, files.get(info.file)!) },
    ]),
  )
}

/** A folder for one test, removed afterwards. */
export const inFolder = async <T>(work: (folder: string) => Promise<T>): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), 'smelt-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs a recipe the way a person does, files in and file out; only the worker lives in this thread. */
export const buildRun = (run: RecipeRun, options: Partial<BuildOptions> = {}): Promise<Result<PlainFile>> =>
  inFolder(async (folder) => {
    const built = await build(writeRun(folder, run), { workers: 1, start: inlineWorker, ...options })
    if (built.type === 'failed') return built
    const written = await readTensors(join(folder, 'out.safetensors'))
    return ok(
      Object.fromEntries(
        Object.entries(written).map(([name, t]): [string, PlainTensor] => [
          name,
          { ...t, dtype: PLAIN[t.dtype as keyof typeof PLAIN] },
        ]),
      ),
      built.diagnostics,
    )
  })
