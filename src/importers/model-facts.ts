import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isObject } from '../base/is-object.js'
import { headerLength, parseHeader, PREFIX } from '../safetensors/header.js'
import { READ_ONLY, readRegularSync } from '../safetensors/regular-file.js'

/** What a model that is there says of itself; undefined where it does not. */
export interface ModelFacts {
  /** The number of layers, by its config.json. */
  readonly layers: number | undefined
  /** The names of its tensors. */
  readonly tensors: readonly string[] | undefined
}

/** The largest file that is read whole, in bytes. */
const MOST = 64 * 1024 * 1024

const readJson = (path: string): unknown => {
  try {
    return statSync(path).size > MOST ? undefined : JSON.parse(readRegularSync(path) ?? '')
  } catch {
    return undefined
  }
}

const headerNames = (path: string): readonly string[] | undefined => {
  let fd: number | undefined
  try {
    if (!statSync(path).isFile()) return undefined
    fd = openSync(path, READ_ONLY)
    const { size } = fstatSync(fd)
    const prefix = Buffer.alloc(PREFIX)
    readSync(fd, prefix, 0, PREFIX, 0)
    const length = headerLength(path, prefix, size)
    if (length.type === 'failed') return undefined
    const bytes = Buffer.alloc(length.value)
    readSync(fd, bytes, 0, length.value, PREFIX)
    const header = parseHeader(path, bytes, size)
    return header.type === 'ok' ? [...header.value.tensors.keys()] : undefined
  } catch {
    return undefined
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** Reads what is beside the weights of a model, and their names: of a folder, or of one file. Never throws. */
export const readFacts = (path: string): ModelFacts => {
  let names: readonly string[]
  try {
    names = statSync(path).isDirectory() ? readdirSync(path).toSorted() : []
  } catch {
    return { layers: undefined, tensors: undefined }
  }
  const config = names.includes('config.json') ? readJson(join(path, 'config.json')) : undefined
  const layers = isObject(config) ? config['num_hidden_layers'] : undefined
  const index = names.find((name) => name.endsWith('.safetensors.index.json'))
  const map = index === undefined ? undefined : readJson(join(path, index))
  const weights = isObject(map) && isObject(map['weight_map']) ? Object.keys(map['weight_map']) : undefined
  const file =
    names.length === 0 ? path : names.filter((name) => name.endsWith('.safetensors')).map((n) => join(path, n))[0]
  return {
    layers: typeof layers === 'number' && Number.isSafeInteger(layers) ? layers : undefined,
    tensors: weights ?? (index === undefined && file !== undefined ? headerNames(file) : undefined),
  }
}
