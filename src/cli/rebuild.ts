import { stat } from 'node:fs/promises'
import { identityOf } from '../safetensors/open.js'

/** One build under watch: which files it read, and its exit code. */
export interface WatchedBuild {
  readonly code: number
  /** Absolute paths, the recipe's among them; none where it did not come to know them. */
  readonly files: readonly string[]
  /** True when a file changed so that the build is of no use. */
  readonly stale: boolean
}

/** What a watch needs of the world; tests steer it. */
export interface WatchWorld {
  /** Something that changes whenever a file does. */
  look(path: string): Promise<string>
  /** Resolves after so many ms, or as soon as the signal is aborted. */
  wait(ms: number, signal: AbortSignal): Promise<void>
}

/**
 * How often files are looked at, in ms: looking at the few files of a recipe costs nothing, and works on every file
 * system.
 */
const INTERVAL = 300

const onDisk: WatchWorld = {
  look: async (path) => {
    const found = await stat(path, { bigint: true }).catch(() => undefined)
    return found === undefined ? '' : Object.values(identityOf(found)).join(':')
  },
  wait: (ms, signal) =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      if (signal.aborted) done()
      else signal.addEventListener('abort', done)
    }),
}

/** A signal that is aborted as soon as one of two is. */
export const eitherOf = (x: AbortSignal, y: AbortSignal): AbortSignal => {
  const controller = new AbortController()
  for (const signal of [x, y]) {
    if (signal.aborted) controller.abort()
    else signal.addEventListener('abort', () => controller.abort(), { once: true })
  }
  return controller.signal
}

/** Waits until files are other than they were, and then until they stand still: whoever writes them is done. */
const waitForChange = async (
  look: () => Promise<string>,
  was: string | undefined,
  ended: AbortSignal,
  world: WatchWorld,
): Promise<void> => {
  let last = was
  let moved = false
  while (!ended.aborted) {
    await world.wait(INTERVAL, ended)
    const now = await look()
    if (now === last && moved) return
    moved ||= now !== was
    last = now
  }
}

/**
 * Builds, and builds again whenever one of the files changed; a build that is under way is stopped at its next chunk.
 * Ends when `ended` is
 * aborted; gives the code of the last build that was not stopped for another.
 */
export const rebuildOnChange = async (
  recipe: string,
  build: (signal: AbortSignal) => Promise<WatchedBuild>,
  ended: AbortSignal,
  world: WatchWorld = onDisk,
): Promise<number> => {
  let files: readonly string[] = [recipe]
  let code = 0
  const look = async (): Promise<string> => (await Promise.all(files.map(world.look))).join('\n')
  while (!ended.aborted) {
    const [cancelled, over] = [new AbortController(), new AbortController()]
    const was = await look()
    const watch = async (): Promise<void> => {
      while (!over.signal.aborted && !cancelled.signal.aborted) {
        await world.wait(INTERVAL, over.signal)
        if (!over.signal.aborted && (await look()) !== was) cancelled.abort()
      }
    }
    const watching = watch()
    const done = await build(eitherOf(cancelled.signal, ended))
    over.abort()
    await watching
    const before = await look()
    if (done.files.length > 0) files = done.files
    const stale = cancelled.signal.aborted || done.stale || before !== was
    if (!stale) code = done.code
    await waitForChange(look, stale ? undefined : await look(), ended, world)
  }
  return code
}
