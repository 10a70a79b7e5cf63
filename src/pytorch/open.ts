import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { entriesSkipped, tensorsStrided } from '../base/catalogue/pytorch.js'
import { failed, ok, type Result } from '../base/result.js'
import { openAdapter, type AdapterFile } from '../safetensors/adapter-file.js'
import { openModel, openShards, toModel, type Model, type ModelFile } from '../safetensors/model.js'
import { openingProblem } from '../safetensors/open.js'
import { readIndex } from '../safetensors/sharded-index.js'
import type { TensorInfo } from '../tensor/info.js'
import { isZip, readArchive, type Archive } from './archive.js'

/** How the name of the index of a sharded checkpoint ends. */
export const BIN_INDEX = '.bin.index.json'

/** What is recorded in safetensors files that are made of a checkpoint; some programs do not load them without it. */
export const METADATA: Readonly<Record<string, string>> = { format: 'pt' }

/** Whether a file is called as programs call what `torch.save` writes. */
export const isCheckpointName = (name: string): boolean => /\.(?:bin|ckpt|pt|pth)$/i.test(name)

/** The weights among the files that programs save in one folder: others hold an optimizer or settings. */
const WEIGHTS = /^(?:diffusion_)?pytorch_model\.bin$/

/**
 * The file that a path means: in a folder without safetensors files, the index or the only checkpoint. Throws what the
 * system says.
 */
export const findCheckpoint = async (path: string): Promise<string> => {
  if (!(await stat(path)).isDirectory()) return path
  const names = (await readdir(path)).filter((name) => !name.startsWith('.'))
  if (names.some((name) => /\.safetensors(?:\.index\.json)?$/.test(name))) return path
  const indexes = names.filter((name) => name.endsWith(BIN_INDEX))
  const files = names.filter(isCheckpointName)
  const found = [indexes, files.filter((name) => WEIGHTS.test(name)), files].find((list) => list.length > 0)
  return found?.length === 1 ? join(path, found[0]!) : path
}

/**
 * Opens a model in any format that smelt reads: safetensors, a checkpoint that PyTorch saved, an index with its shards,
 * or a folder that holds one of them. Reads headers only; nothing in a file is run.
 */
export const openCheckpoint = async (path: string): Promise<Result<Model>> => {
  try {
    const file = await findCheckpoint(path)
    if (file.endsWith(BIN_INDEX)) {
      const index = await readIndex(file, '.bin')
      return index.type === 'failed' ? index : await openShards(file, index, openArchive)
    }
    if (!isZip(file)) return await openModel(file)
    const opened = await openArchive(file)
    return opened.type === 'failed'
      ? opened
      : ok(toModel(opened.value.path, [opened.value], opened.value.tensors), opened.diagnostics)
  } catch (error) {
    return failed(await openingProblem(error, path))
  }
}

/** Opens an adapter in any format that smelt reads. */
export const openAdapterFile = (path: string): Promise<Result<AdapterFile>> => openAdapter(path, openCheckpoint)

/** A checkpoint as a file of tensors that lie one after another, each by its position. */
const openArchive = async (path: string): Promise<Result<ModelFile>> => {
  const read = await readArchive(path)
  if (read.type === 'failed') return read
  const { tensors, skipped, skippedTensors } = read.value
  const strided = tensors.filter((t) => !t.contiguous).map((t) => t.name)
  if (strided.length > 0) return failed(tensorsStrided(path, strided))
  return ok(toFile(read.value), skippedTensors === 0 ? [] : [entriesSkipped(path, skipped, skippedTensors)])
}

/** An archive as a file of tensors; those that are views without order are said to lie where they begin. */
export const toFile = ({ path, identity, tensors }: Archive): ModelFile => {
  const infos = tensors.map(({ name, dtype, shape, begin, bytes }): TensorInfo => ({
    name,
    dtype,
    shape,
    file: path,
    begin,
    end: begin + bytes,
  }))
  return {
    path,
    identity,
    tensors: new Map(infos.map((info) => [info.name, info])),
    metadata: new Map(Object.entries(METADATA)),
  }
}
