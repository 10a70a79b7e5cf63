import { watch as watchFile, type FSWatcher } from 'node:fs'
import { open, stat, type FileHandle } from 'node:fs/promises'
import { eventsNotAFile } from '../base/catalogue/special-files.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { errorCode } from '../safetensors/io-problem.js'
import { READ_ONLY, specialKind } from '../safetensors/regular-file.js'

/** How often a growing file is checked if the system does not notify, in ms. */
const POLL = 250
const PIECE = 1 << 16

/** Why events cannot be read from a path: only files and FIFOs are accepted. */
export const eventsProblem = async (path: string): Promise<Diagnostic | undefined> => {
  const kind = specialKind(await stat(path))
  return kind === undefined || kind === 'fifo' ? undefined : eventsNotAFile(path, kind)
}

/** Bytes that are there now; 0 where a FIFO has none yet. */
const readSome = async (file: FileHandle, buffer: Uint8Array): Promise<number> => {
  try {
    return (await file.read(buffer, 0, PIECE)).bytesRead
  } catch (error) {
    if (errorCode(error) === 'EAGAIN') return 0
    throw error
  }
}

/**
 * The text of a file as it grows, until `signal` ends it or the file is removed. `caughtUp` is called whenever there is
 * no more for now.
 */
export const follow = async function* (
  path: string,
  signal: AbortSignal,
  caughtUp: () => void,
): AsyncGenerator<string> {
  const file = await open(path, READ_ONLY)
  const decoder = new TextDecoder()
  const buffer = new Uint8Array(PIECE)
  let wake = (): void => undefined
  const stop = (): void => wake()
  signal.addEventListener('abort', stop, { once: true })
  let watcher: FSWatcher | undefined
  try {
    // Not every file system tells; looking from time to time is always right.
    watcher = watchFile(path, () => wake())
    watcher.on('error', () => undefined)
  } catch {
    watcher = undefined
  }
  try {
    while (!signal.aborted) {
      const bytesRead = await readSome(file, buffer)
      if (bytesRead > 0) {
        yield decoder.decode(buffer.subarray(0, bytesRead), { stream: true })
        continue
      }
      // Nothing writes to a file that was removed, or nobody will ever know.
      if ((await file.stat()).nlink === 0) return
      caughtUp()
      await new Promise<void>((done) => {
        const timer = setTimeout(done, POLL)
        wake = () => {
          clearTimeout(timer)
          done()
        }
      })
    }
  } finally {
    signal.removeEventListener('abort', stop)
    watcher?.close()
    await file.close()
  }
}

/** The text of standard input, until `signal` ends it. `caughtUp` is called whenever there is no more for now. */
export const receive = async function* (signal: AbortSignal, caughtUp: () => void): AsyncGenerator<string> {
  const input = process.stdin.setEncoding('utf8')
  signal.addEventListener('abort', () => input.destroy(), { once: true })
  try {
    for await (const piece of input) {
      yield piece as string
      if (input.readableLength === 0) caughtUp()
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
