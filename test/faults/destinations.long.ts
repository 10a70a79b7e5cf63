import { execFileSync } from 'node:child_process'
import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { MODEL, RECIPE, SHARD, stockShop } from '../support/shop.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { command, type Ended } from './command.js'
import { cleanup, fault, FULL } from './machine.js'
import { CALLS, ONE_POOL_THREAD, strace } from './strace.js'
import { createTally } from './tally.js'

const makeShop = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'smelt-faults-places-'))
  cleanup.add(() => rmSync(folder, { recursive: true, force: true }))
  stockShop(folder)
  mkdirSync(join(folder, 'init'))
  writeSafetensors(join(folder, 'init/a.safetensors'), MODEL)
  writeFileSync(join(folder, 'recipe.yaml'), JSON.stringify(RECIPE))
  return folder
}

/** Every way to name a file to write; its recipe and its arguments for a path. */
const WAYS: Readonly<
  Record<string, (path: string) => { readonly outputs?: object; readonly args: readonly string[] }>
> = {
  'an output': (path) => ({
    outputs: { ...RECIPE.outputs, new: { from: 'x', path } },
    args: ['build', 'recipe.yaml', '--force'],
  }),
  'a report of the recipe': (path) => ({
    outputs: { ...RECIPE.outputs, new: { from: 'look', path } },
    args: ['build', 'recipe.yaml', '--force'],
  }),
  '--attest': (path) => ({ args: ['build', 'recipe.yaml', '--force', '--attest', path] }),
  '--report': (path) => ({ args: ['build', 'recipe.yaml', '--force', '--report', path] }),
  'diff --html': (path) => ({ args: ['diff', 'a.safetensors', 'b', '--html', path] }),
}

/**
 * Files that none of them may replace, and how they come to be met. Those that `diff` does not read are no matter to
 * it.
 */
const TARGETS: Readonly<
  Record<string, { readonly path: string; readonly make?: (folder: string) => void; readonly build?: true }>
> = {
  'an input, by a hard link': { path: 'in.json', make: (f) => linkSync(join(f, 'a.safetensors'), join(f, 'in.json')) },
  'an index': { path: 'sub/../b/model.safetensors.index.json' },
  'an index, through a link': {
    path: 'way/model.safetensors.index.json',
    make: (f) => symlinkSync('b', join(f, 'way')),
  },
  'a shard, by a hard link': { path: 'shard.json', make: (f) => linkSync(join(f, 'b', SHARD), join(f, 'shard.json')) },
  'an adapter’s config': { path: 'l/adapter_config.json', build: true },
  'the recipe, by a hard link': {
    path: 'copy.json',
    make: (f) => linkSync(join(f, 'recipe.yaml'), join(f, 'copy.json')),
    build: true,
  },
  'the lock': { path: 'recipe.lock.json', build: true },
  'an output': {
    path: 'other.json',
    make: (f) => {
      writeFileSync(join(f, 'o.safetensors'), '')
      linkSync(join(f, 'o.safetensors'), join(f, 'other.json'))
    },
    build: true,
  },
  'a report': { path: 'sub/../r.json', build: true },
  'an index that is written': { path: 's.safetensors.index.json', build: true },
  'a path below an input': { path: 'a.safetensors/new.json' },
  'a link': {
    path: 'link.json',
    make: (f) => {
      writeFileSync(join(f, 'target'), 'kept')
      symlinkSync('target', join(f, 'link.json'))
    },
  },
  'a FIFO': { path: 'fifo.json', make: (f) => execFileSync('mkfifo', [join(f, 'fifo.json')]) },
  'a folder': { path: 'folder.json', make: (f) => mkdirSync(join(f, 'folder.json')) },
}

/** Kinds, links and bytes of everything in a folder, the cache aside. */
const pictureOf = (folder: string, below = ''): readonly string[] =>
  readdirSync(join(folder, below))
    .filter((name) => name !== 'cache')
    .sort()
    .flatMap((name) => {
      const path = join(below, name)
      const found = lstatSync(join(folder, path))
      if (found.isDirectory()) return [path, ...pictureOf(folder, path)]
      return [
        `${path} ${found.isSymbolicLink() ? readlinkSync(join(folder, path)) : found.isFile() ? readFileSync(join(folder, path)).toString('base64') : found.isFIFO()}`,
      ]
    })

const run = (
  folder: string,
  args: readonly string[],
  more: { readonly wrap?: readonly string[] } = {},
): Promise<Ended> =>
  command(args, { cwd: folder, env: { SMELT_CACHE: join(folder, 'cache'), ...ONE_POOL_THREAD }, ...more })

describe('F27: nothing that a command writes may replace', () => {
  fault('what it reads, what else it writes, or what is no file', ['linux'], async () => {
    const tally = createTally('F27', 'outputs, reports, --attest, --report and diff --html over what must stay')
    const wrong: string[] = []
    for (const [index, [way, prepare]] of Object.entries(WAYS).entries()) {
      for (const [number, [name, { path, make, build }]] of Object.entries(TARGETS).entries()) {
        if (build === true && way.startsWith('diff')) continue
        // A few of them do for `npm run test:long`: test/run/destinations.test.ts has all, within one process.
        if (!FULL && (index * 3 + number) % 14 !== 0) continue
        const folder = makeShop()
        const { outputs, args } = prepare(path)
        if (outputs !== undefined) writeFileSync(join(folder, 'recipe.yaml'), JSON.stringify({ ...RECIPE, outputs }))
        make?.(folder)
        const before = pictureOf(folder)
        const ended = await run(folder, args)
        const code = way === 'an output' || way === 'a report of the recipe' ? 1 : 2
        const right = !ended.hung && ended.code === code && pictureOf(folder).join('\n') === before.join('\n')
        tally.see('refused', !right)
        if (!right) wrong.push(`${way} over ${name}: code ${ended.code} ${ended.stderr.slice(0, 300)}`)
        rmSync(folder, { recursive: true })
      }
    }
    tally.end()
    expect(wrong).toEqual([])
  })
})

const isJson = (text: string): boolean => {
  try {
    return typeof JSON.parse(text) === 'object'
  } catch {
    return false
  }
}

/** Every file that a command writes besides outputs, and when it is whole. */
const WRITTEN: Readonly<
  Record<string, { readonly args: readonly string[]; readonly path: string; isWhole(text: string): boolean }>
> = {
  '--attest': { args: ['build', 'recipe.yaml', '--attest', 'new.json'], path: 'new.json', isWhole: isJson },
  '--report': { args: ['build', 'recipe.yaml', '--report', 'new.json'], path: 'new.json', isWhole: isJson },
  'a report of the recipe': { args: ['build', 'recipe.yaml', '--force'], path: 'r.json', isWhole: isJson },
  'diff --html': { args: ['diff', 'a.safetensors', 'b', '--html', 'new.json'], path: 'new.json', isWhole: isJson },
  'init --force': {
    args: ['init', 'init', '--force'],
    path: 'init/recipe.yaml',
    isWhole: (text) => text.includes('outputs:') && text.endsWith('\n'),
  },
}

const FAULTS = [
  { name: 'SIGKILL at the n-th rename', calls: CALLS.rename, effect: (n: number) => `signal=SIGKILL:when=${n}` },
  { name: 'SIGKILL at the n-th fsync', calls: CALLS.fsync, effect: (n: number) => `signal=SIGKILL:when=${n}` },
  { name: 'SIGKILL at the n-th pwrite', calls: CALLS.pwrite, effect: (n: number) => `signal=SIGKILL:when=${n}` },
  {
    name: 'ENOSPC from the n-th pwrite of each thread on',
    calls: CALLS.pwrite,
    effect: (n: number) => `error=ENOSPC:when=${n}+`,
  },
  { name: 'EIO at the n-th fsync', calls: CALLS.fsync, effect: (n: number) => `error=EIO:when=${n}` },
] as const

describe('F28: every file that a command writes besides outputs', () => {
  fault('is the old one or the new one, whole, whatever happens as it is written', ['linux', 'strace'], async () => {
    const wrong: string[] = []
    for (const [index, { name, calls, effect }] of FAULTS.entries()) {
      const tally = createTally('F28', `${name}: attestation, reports, page of diff, recipe of init`)
      for (const [way, { args, path, isWhole }] of Object.entries(WRITTEN)) {
        if (!FULL && (index > 2 || Object.keys(WRITTEN).indexOf(way) !== index)) continue
        const folder = makeShop()
        // All else stands, so that the calls of this file are soon reached.
        await run(folder, args)
        for (let n = 1; n <= (FULL ? 30 : 2); n++) {
          writeFileSync(join(folder, path), 'old')
          const ended = await run(folder, args, { wrap: strace(calls, effect(n)) })
          const text = readFileSync(join(folder, path), 'utf8')
          const warned = way === '--report' && ended.stderr.includes('report-not-written')
          const right = !ended.hung && (isWhole(text) || (text === 'old' && (ended.code !== 0 || warned)))
          tally.see(text === 'old' ? 'old' : 'new', !right)
          if (!right)
            wrong.push(`${way}, ${name}, ${n}: code ${ended.code}, ${text.slice(0, 100)} ${ended.stderr.slice(0, 300)}`)
          if (ended.code === 0 && text !== 'old') break
        }
        const last = await run(folder, args)
        const left = (readdirSync(folder, { recursive: true }) as string[]).filter(
          (file) => /\.(partial|journal|building)$/.test(file) && !file.startsWith('cache'),
        )
        if (last.code !== 0 || left.length > 0)
          wrong.push(`${way}, ${name}, afterwards: code ${last.code}, ${left.join()}`)
        rmSync(folder, { recursive: true })
      }
      tally.end()
    }
    expect(wrong).toEqual([])
  })
})
