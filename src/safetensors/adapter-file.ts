import { closeSync, existsSync, openSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { configNotJson } from '../base/catalogue/adapters.js'
import { fileOversized } from '../base/catalogue/special-files.js'
import { blake3, toDigest } from '../base/digest.js'
import { failed, ok, type Result } from '../base/result.js'
import type { TensorInfo } from '../tensor/info.js'
import { errorCode, ioProblem } from './io-problem.js'
import { openModel, type Model, type SideFile } from './model.js'
import { identityOf } from './open.js'
import { readFully } from './positional.js'
import { openRegular, READ_ONLY } from './regular-file.js'

/** An adapter: its header, and the few numbers that are needed before anything is computed. */
export interface AdapterFile extends Model {
  /** The bytes of every scalar, which alphas are. */
  readonly scalars: ReadonlyMap<string, Uint8Array>
  /** What PEFT writes beside its adapters, as JSON has it; undefined where there is none. */
  readonly config: unknown
}

/** The names PEFT gives to its adapters, and to what explains them. */
export const PEFT_ADAPTER = 'adapter_model.safetensors'
export const PEFT_CONFIG = 'adapter_config.json'
const PEFT_FILES = [PEFT_ADAPTER, 'adapter_model.bin']

/** No config is nearly as large, in bytes. */
const MOST_CONFIG = 1 << 24

/** The file that is read beside an adapter, whether it is there or not. */
export const configOf = (adapter: string): string | undefined =>
  PEFT_FILES.includes(basename(adapter)) ? join(dirname(adapter), PEFT_CONFIG) : undefined

/** Bytes of the widest scalar. */
const WIDEST = 8
/** Weights have no more axes than those of convolutions of volumes. */
const MOST_AXES = 5

/**
 * Opens an adapter: a file that `open` knows, or a folder as PEFT writes it. Reads its header, its scalars and its
 * config.
 */
export const openAdapter = async (
  path: string,
  open: (path: string) => Promise<Result<Model>> = openModel,
): Promise<Result<AdapterFile>> => {
  const inFolder = PEFT_FILES.map((name) => join(path, name)).find(existsSync)
  const model = await open(inFolder ?? path)
  if (model.type === 'failed') return model
  const side = configOf(model.value.path)
  const config = side === undefined ? ok(NO_CONFIG) : await readConfig(side)
  if (config.type === 'failed') return failed(...model.diagnostics, ...config.diagnostics)
  const scalars = readScalars(model.value)
  if (scalars.type === 'failed') return failed(...model.diagnostics, ...scalars.diagnostics)
  return ok({ ...model.value, scalars: scalars.value, ...config.value }, model.diagnostics)
}

const CONFIG_WORDS = 'an adapter config'

/** What a config beside an adapter says, and the files that were looked for. */
export type AdapterConfig = Pick<AdapterFile, 'config' | 'sides'>

/** An adapter that has no config. */
export const NO_CONFIG: AdapterConfig = { config: undefined, sides: [] }

/** The bytes of a config, as JSON has it; `sides` are the files that it was read from. */
export const parseConfig = (path: string, bytes: Buffer, sides: readonly SideFile[] = []): Result<AdapterConfig> => {
  try {
    return ok({ config: JSON.parse(bytes.toString()) as unknown, sides })
  } catch (error) {
    return failed(configNotJson(path, (error as SyntaxError).message))
  }
}

const readConfig = async (path: string): Promise<Result<AdapterConfig>> => {
  try {
    const opened = await openRegular(path, CONFIG_WORDS)
    if (opened.type === 'failed') return opened
    const handle = opened.value
    try {
      const identity = identityOf(await handle.stat({ bigint: true }))
      if (identity.size > MOST_CONFIG) return failed(fileOversized(path, CONFIG_WORDS, identity.size, MOST_CONFIG))
      const bytes = await handle.readFile()
      return parseConfig(path, bytes, [{ path, found: { identity, digest: toDigest(blake3(bytes)) } }])
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return ok({ config: undefined, sides: [{ path, found: undefined }] })
    return failed(ioProblem(error, path, 'read'))
  }
}

/**
 * True for a number by itself, such as an alpha; some programs write one as a list of one. The shape that a weight is
 * padded to is a list of as few.
 */
export const isScalar = ({ name, shape, begin, end }: TensorInfo): boolean =>
  name.endsWith('.reshape_weight')
    ? shape.length === 1 && end - begin <= MOST_AXES * WIDEST
    : (shape.length === 0 || name.endsWith('.alpha')) && end - begin <= WIDEST

/** The bytes of every scalar. */
const readScalars = (model: Model): Result<ReadonlyMap<string, Uint8Array>> => {
  const wanted = [...model.tensors.values()].filter(isScalar)
  const scalars = new Map<string, Uint8Array>()
  const files = new Map<string, number>()
  try {
    for (const { name, file, begin, end } of wanted) {
      const fd = files.get(file) ?? openSync(file, READ_ONLY)
      files.set(file, fd)
      const bytes = new Uint8Array(end - begin)
      const problem = readFully(fd, file, bytes, begin)
      if (problem !== undefined) return failed(problem)
      scalars.set(name, bytes)
    }
    return ok(scalars)
  } catch (error) {
    return failed(ioProblem(error, model.path, 'read'))
  } finally {
    for (const fd of files.values()) closeSync(fd)
  }
}
