import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { inFolder } from '../support/build-run.js'
import { runHere, type Ran } from '../support/run-here.js'
import { smelt, type Finished } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const RECIPE = `smelt: 1
models: { a: a.safetensors, b: b.safetensors }
steps: { s: { op: merge.ties, base: a, models: [{ model: b, density: 0.5 }], scope: model } }
outputs: { o: { from: s, path: o.safetensors } }
`
const makeFifo = (path: string): void => {
  rmSync(path, { force: true })
  execFileSync('mkfifo', [path])
}

const inShop = (work: (folder: string) => Promise<void>): Promise<void> =>
  inFolder(async (folder) => {
    writeFileSync(join(folder, 'recipe.yaml'), RECIPE)
    for (const [name, first] of [
      ['a', 1],
      ['b', 5],
    ] as const)
      writeSafetensors(join(folder, `${name}.safetensors`), {
        w: { dtype: 'F32', shape: [4], values: [first, 2, 3, 4] },
      })
    await work(folder)
  })

/**
 * What a command says of itself where a FIFO may keep it waiting: a process of its own, which does not take the test
 * with it.
 */
const ended = (
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> => smelt(folder, args, { env })

/** What a command says where nothing can keep it waiting. */
const said: (folder: string, args: readonly string[]) => Promise<Ran> = runHere

const unix = describe.runIf(process.platform !== 'win32')

unix('instead of a recipe,', () => {
  test.each<[string, string, typeof ended | typeof said, (path: string) => void]>([
    ['a FIFO', 'is a FIFO (named pipe), not a recipe', ended, makeFifo],
    ['a folder', 'is a folder, not a recipe', said, (path) => mkdirSync(path)],
    ['a device', 'is a device, not a recipe', ended, (path) => symlinkSync('/dev/zero', path)],
    [
      'a model of 1 TB',
      'has 1099511627776 bytes',
      said,
      (path) => {
        writeFileSync(path, '')
        truncateSync(path, 2 ** 40)
      },
    ],
  ])('%s is refused at once, by what it is', (_, told, answer, make) =>
    inShop(async (folder) => {
      make(join(folder, 'odd.yaml'))
      for (const command of ['check', 'build'])
        expect(await answer(folder, [command, 'odd.yaml'])).toMatchObject({
          code: 1,
          stderr: expect.stringContaining(told),
        })
    }),
  )

  test('a socket is refused', () =>
    inShop(async (folder) => {
      const server = createServer().listen(join(folder, 'odd.yaml'))
      await once(server, 'listening')
      expect(await said(folder, ['check', 'odd.yaml'])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('is a socket, not a recipe'),
      })
      server.close()
    }))
})

unix('a FIFO', () => {
  test('as the lock is named, and nothing waits for it', () =>
    inShop(async (folder) => {
      makeFifo(join(folder, 'recipe.lock.json'))
      expect(await ended(folder, ['plan', 'recipe.yaml'])).toMatchObject({
        code: 0,
        stderr: expect.stringContaining('is a FIFO (named pipe), not a lock'),
      })
      expect(await ended(folder, ['build', 'recipe.yaml'])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('recipe.lock.json is a FIFO'),
      })
      expect(await ended(folder, ['build', 'recipe.yaml', '--frozen'])).toMatchObject({
        code: 4,
        stderr: expect.stringContaining('not a lock'),
      })
      expect(await ended(folder, ['verify', 'recipe.yaml'])).toMatchObject({
        code: 4,
        stderr: expect.stringContaining('not a lock'),
      })
      expect(statSync(join(folder, 'recipe.lock.json')).isFIFO()).toBe(true)
    }))

  test.each(['a.safetensors', 'model.safetensors.index.json', 'l/adapter_config.json'])(
    'as an input is refused: %s',
    (name) =>
      inShop(async (folder) => {
        mkdirSync(join(folder, 'l'))
        writeSafetensors(join(folder, 'l/adapter_model.safetensors'), {
          'base_model.model.w.lora_A.weight': { dtype: 'F32', shape: [1, 4], values: 1 },
        })
        writeFileSync(
          join(folder, 'recipe.yaml'),
          name.startsWith('l/')
            ? 'smelt: 1\nmodels: { a: a.safetensors }\nadapters: { l: l }\nsteps: { s: { op: adapter.apply, model: a, adapter: l } }\noutputs: { o: { from: s, path: o.safetensors } }\n'
            : RECIPE.replace('a: a.safetensors', `a: ${name}`),
        )
        makeFifo(join(folder, name))
        expect(await ended(folder, ['check', 'recipe.yaml'])).toMatchObject({
          code: 1,
          stderr: expect.stringContaining('is a FIFO (named pipe), not a'),
        })
      }),
  )

  test('in place of every file of the cache costs nothing but time', () =>
    inShop(async (folder) => {
      const cache = join(folder, 'cache')
      await ended(folder, ['build', 'recipe.yaml'], { SMELT_CACHE: cache })
      const before = readFileSync(join(folder, 'o.safetensors'))
      const files = (readdirSync(cache, { recursive: true }) as string[])
        .map((name) => join(cache, name))
        .filter((path) => statSync(path).isFile())
      expect(files.length).toBeGreaterThan(2)
      files.forEach(makeFifo)
      rmSync(join(folder, 'o.safetensors'))
      expect(await ended(folder, ['build', 'recipe.yaml'], { SMELT_CACHE: cache })).toMatchObject({ code: 0 })
      expect(readFileSync(join(folder, 'o.safetensors')).equals(before)).toBe(true)
    }))

  test('of events is read as they come, and a folder or a device is refused', () =>
    inShop(async (folder) => {
      makeFifo(join(folder, 'events'))
      const watched = ended(folder, ['watch', 'events'])
      execFileSync(
        process.execPath,
        [
          '-e',
          `const fs = require('node:fs'); fs.writeFileSync(process.argv[1], fs.readFileSync(0))`,
          join(folder, 'events'),
        ],
        {
          input: (await said(folder, ['build', 'recipe.yaml', '--json'])).stdout,
        },
      )
      expect(await watched).toMatchObject({ code: 0, stderr: expect.stringContaining('wrote o.safetensors') })
      expect(await said(folder, ['watch', '.'])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('is a folder, not a file of events'),
      })
      expect(await ended(folder, ['watch', '/dev/zero'])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('is a device, not a file of events'),
      })
    }))

  test('as a source of CUDA is refused', () =>
    inShop(async (folder) => {
      makeFifo(join(folder, 'wheel.whl'))
      expect((await ended(folder, ['cuda', 'wheel.whl'], { XDG_DATA_HOME: join(folder, 'data') })).stderr).toContain(
        'is a FIFO (named pipe), not an archive',
      )
    }))
})

describe('commands that write', () => {
  const untouched = async (folder: string, args: readonly string[], told: string, code: number): Promise<void> => {
    const before = readFileSync(join(folder, 'a.safetensors'))
    expect(await said(folder, args)).toMatchObject({ code, stderr: expect.stringContaining(told) })
    expect(readFileSync(join(folder, 'a.safetensors')).equals(before)).toBe(true)
  }

  test('never replace an input, and the command line is told of it', () =>
    inShop(async (folder) => {
      linkSync(join(folder, 'a.safetensors'), join(folder, 'a.json'))
      await untouched(folder, ['build', 'recipe.yaml', '--attest', 'a.safetensors'], 'is also read, as model `a`', 2)
      await untouched(folder, ['build', 'recipe.yaml', '--report', 'a.json'], 'a.json is also read, as model `a`', 2)
      await untouched(
        folder,
        ['diff', 'a.safetensors', 'b.safetensors', '--html', 'a.json'],
        'a.json is also read, as model `a`',
        2,
      )
      expect(readdirSync(folder).sort()).toEqual(['a.json', 'a.safetensors', 'b.safetensors', 'recipe.yaml'])
    }))

  test('init replaces neither a model nor a link', () =>
    inShop(async (folder) => {
      rmSync(join(folder, 'recipe.yaml'))
      linkSync(join(folder, 'a.safetensors'), join(folder, 'recipe.yaml'))
      await untouched(folder, ['init', '.', '--force'], 'is also read', 1)
      rmSync(join(folder, 'recipe.yaml'))
      symlinkSync('a.safetensors', join(folder, 'recipe.yaml'))
      await untouched(folder, ['init', '.', '--force'], 'is also read', 1)
      rmSync(join(folder, 'recipe.yaml'))
      symlinkSync('nowhere', join(folder, 'recipe.yaml'))
      await untouched(folder, ['init'], 'is a symbolic link', 1)
      rmSync(join(folder, 'recipe.yaml'))
      for (const [args, code] of [
        [['init'], 0],
        [['init'], 1],
        [['init', '--force'], 0],
      ] as const)
        expect((await said(folder, args)).code).toBe(code)
      expect(readdirSync(folder).sort()).toEqual(['a.safetensors', 'b.safetensors', 'recipe.yaml'])
    }))
})
