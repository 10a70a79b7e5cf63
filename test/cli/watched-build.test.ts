import { describe, expect, test } from 'vitest'
import { rebuildOnChange, type WatchedBuild, type WatchWorld } from '#src/cli/rebuild.js'

/** A world in which files change when the test says so, and no time passes while waiting. */
const makeWorld = () => {
  const versions = new Map<string, number>()
  const world: WatchWorld = {
    look: (path) => Promise.resolve(String(versions.get(path) ?? 0)),
    wait: () => new Promise((resolve) => setImmediate(resolve)),
  }
  return { world, change: (path: string) => versions.set(path, (versions.get(path) ?? 0) + 1) }
}

const done = (more: Partial<WatchedBuild> = {}): WatchedBuild => ({
  code: 0,
  files: ['recipe', 'input'],
  stale: false,
  ...more,
})

/** Runs a watch whose builds are `builds`, one after the other; the last of them ends it. */
const watch = async (
  builds: readonly ((signal: AbortSignal, change: (path: string) => void) => Promise<WatchedBuild>)[],
) => {
  const ended = new AbortController()
  const { world, change } = makeWorld()
  const left = [...builds]
  let count = 0
  const code = await rebuildOnChange(
    'recipe',
    async (signal) => {
      count += 1
      const result = await left.shift()!(signal, change)
      if (left.length === 0) ended.abort()
      return result
    },
    ended.signal,
    world,
  )
  return { code, count }
}
const soon = (work: () => void): void => void setTimeout(work, 20)

describe('a watch', () => {
  test('builds again when an input changes that the first build came to know', async () => {
    const { code, count } = await watch([
      (_, change) => {
        soon(() => change('input'))
        return Promise.resolve(done())
      },
      () => Promise.resolve(done({ code: 3 })),
    ])
    expect({ code, count }).toEqual({ code: 3, count: 2 })
  })

  test('stops a build that is under way when the recipe changes, and its code does not count', async () => {
    const { code, count } = await watch([
      (signal, change) => {
        soon(() => change('recipe'))
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve(done({ code: 130, files: [] }))))
      },
      () => Promise.resolve(done()),
    ])
    expect({ code, count }).toEqual({ code: 0, count: 2 })
  })

  test('builds again at once when an input changed while it was read', async () => {
    const { code, count } = await watch([
      () => Promise.resolve(done({ code: 3, stale: true })),
      () => Promise.resolve(done()),
    ])
    expect({ code, count }).toEqual({ code: 0, count: 2 })
  })

  test('waits for the recipe to change when it could not be read', async () => {
    const { count } = await watch([
      (_, change) => {
        soon(() => change('recipe'))
        return Promise.resolve(done({ code: 1, files: [] }))
      },
      () => Promise.resolve(done()),
    ])
    expect(count).toBe(2)
  })
})
