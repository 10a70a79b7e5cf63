import { deviceUnknown, engineUnknown, setMalformed, workersOutOfRange } from '../base/catalogue/cli.js'
import { failed, ok, type Result } from '../base/result.js'
import type { DeviceRequest } from '../run/devices/choose.js'
import type { ProcessorEngine } from '../run/options.js'

const MOST_WORKERS = 64

/** Reads `--set name=value`s; of two for one name the last counts. */
export const readSet = (texts: readonly string[]): Result<Readonly<Record<string, string>>> => {
  const pairs = texts.map((text) => ({ text, at: text.indexOf('=') }))
  const wrong = pairs.filter(({ at }) => at < 1)
  if (wrong.length > 0) return failed(...wrong.map(({ text }) => setMalformed(text)))
  return ok(Object.fromEntries(pairs.map(({ text, at }) => [text.slice(0, at), text.slice(at + 1)])))
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
