import { deviceUnknown, engineUnknown, setMalformed, workersOutOfRange } from '../base/catalogue/cli.js'
import { A_SET_FILE, writesSettings } from '../base/catalogue/settings.js'
import { failed, ok, type Result } from '../base/result.js'
import { resolvePath } from '../base/resolve-path.js'
import type { DeviceRequest } from '../run/devices/choose.js'
import type { ProcessorEngine } from '../run/options.js'
import type { PrepareOptions } from '../run/prepare.js'

const MOST_WORKERS = 64

/** Reads `--set name=value`s; of two for one name the last counts. */
export const readSet = (texts: readonly string[]): Result<Readonly<Record<string, string>>> => {
  const pairs = texts.map((text) => ({ text, at: text.indexOf('=') }))
  const wrong = pairs.filter(({ at }) => at < 1)
  if (wrong.length > 0) return failed(...wrong.map(({ text }) => setMalformed(text)))
  return ok(Object.fromEntries(pairs.map(({ text, at }) => [text.slice(0, at), text.slice(at + 1)])))
}

/** The options that give values to params. */
export interface SetFlags {
  readonly set: readonly string[]
  readonly setFile?: string
  readonly table?: string
  readonly report?: string
  readonly attest?: string
}

/** Reads `--set` and `--set-file`, over which no other option may write. */
export const readSettings = async (
  { set, setFile, table, report, attest }: SetFlags,
  cwd: string,
): Promise<Result<Required<Pick<PrepareOptions, 'set' | 'rows'>>>> => {
  const pairs = readSet(set)
  if (pairs.type === 'failed') return pairs
  if (setFile === undefined) return ok({ set: pairs.value, rows: [] })
  const path = resolvePath(cwd, setFile)
  const writes = Object.entries({ table, report, attest }).find(
    ([, to]) => to !== undefined && resolvePath(cwd, to) === path,
  )
  if (writes !== undefined) return failed(writesSettings(`--${writes[0]}`, setFile))
  const { readSource } = await import('../run/parts.js')
  const { readSetFile } = await import('../recipe/set-file.js')
  const source = await readSource(path, A_SET_FILE)
  if (source.type === 'failed') return source
  const rows = readSetFile({ ...source.value, path: setFile })
  return rows.type === 'failed' ? rows : ok({ set: pairs.value, rows: rows.value })
}

/** Reads `--workers`; `fallback` where it is not given. */
export const readWorkers = (text: string | undefined, fallback: () => number): Result<number> => {
  if (text === undefined) return ok(fallback())
  const workers = /^\d+$/.test(text) ? Number(text) : 0
  return workers >= 1 && workers <= MOST_WORKERS ? ok(workers) : failed(workersOutOfRange(text, 1, MOST_WORKERS))
}

/** Reads `--device`; `cuda` is the first that can be seen. */
export const readDevice = (text: string): Result<DeviceRequest> => {
  if (text === 'auto' || text === 'cpu' || text === 'webgpu') return ok(text)
  const [, index] = /^cuda(?::(\d{1,3}))?$/.exec(text) ?? []
  return text.startsWith('cuda') && (text === 'cuda' || index !== undefined)
    ? ok(`cuda:${Number(index ?? 0)}` as const)
    : failed(deviceUnknown(text))
}

/** Reads `--engine`. */
export const readEngine = (text: string | undefined): Result<ProcessorEngine> =>
  text === undefined || text === 'compiled' || text === 'onnx' ? ok(text ?? 'compiled') : failed(engineUnknown(text))
