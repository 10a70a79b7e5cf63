import { execFileSync } from 'node:child_process'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { exitCode } from '#src/base/diagnostic.js'
import type { Result } from '#src/base/result.js'
import { build, type BuildOptions } from '#src/run/build.js'
import { optionDestination } from '#src/run/destinations.js'
import { prepare } from '#src/run/prepare.js'
import { run } from '#src/run/run.js'
import { openStore } from '#src/store/store.js'
import { renderReport } from '#src/view/report/render.js'
import { inFolder } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { MODEL, RECIPE, SHARD, stockShop } from '../support/shop.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { codesOf } from './support.js'

const inShop = (work: (folder: string) => Promise<void>): Promise<void> =>
  inFolder(async (folder) => {
    stockShop(folder)
    await work(folder)
  })

const buildWith = (folder: string, outputs: object, options: BuildOptions = {}): Promise<Result<unknown>> => {
  const path = join(folder, 'recipe.yaml')
  writeFileSync(path, JSON.stringify({ ...RECIPE, outputs: { ...RECIPE.outputs, ...outputs } }))
  return build(path, {
    workers: 1,
    start: inlineWorker,
    render: renderReport,
    store: openStore(join(folder, 'store')),
    ...options,
  })
}

/** Every way in which a recipe or a command line names a file to write. */
const WAYS: Readonly<
  Record<string, { readonly code: number; try(folder: string, path: string): Promise<Result<unknown>> }>
> = {
  'an output': { code: 1, try: (folder, path) => buildWith(folder, { new: { from: 'x', path } }) },
  'a report of the recipe': { code: 1, try: (folder, path) => buildWith(folder, { new: { from: 'look', path } }) },
  '--attest': { code: 2, try: (folder, path) => buildWith(folder, {}, { attest: join(folder, path) }) },
  '--report': {
    code: 2,
    try: (folder, path) => buildWith(folder, {}, { more: [optionDestination('--report', path, folder)] }),
  },
}

/** Files that none of them may replace, each by a name that a report may have too, and what has to be there first. */
const TARGETS: Readonly<
  Record<
    string,
    { readonly path: string; readonly code: string; readonly make?: (folder: string, path: string) => void }
  >
> = {
  'an input': {
    path: 'in.json',
    code: 'output-is-input',
    make: (f, path) => linkSync(join(f, 'a.safetensors'), join(f, path)),
  },
  'an index': { path: 'sub/../b/model.safetensors.index.json', code: 'output-is-input' },
  'a shard of an input': {
    path: 'shard.json',
    code: 'output-is-input',
    make: (f, path) => linkSync(join(f, 'b', SHARD), join(f, path)),
  },
  'the config of an adapter': { path: 'l/adapter_config.json', code: 'output-is-input' },
  'a config through a folder that is a link': {
    path: 'way/adapter_config.json',
    code: 'output-is-input',
    make: (f) => symlinkSync(join(f, 'l'), join(f, 'way')),
  },
  'the recipe': {
    path: 'copy.json',
    code: 'output-is-recipe',
    make: (f, path) => {
      writeFileSync(join(f, 'recipe.yaml'), '')
      linkSync(join(f, 'recipe.yaml'), join(f, path))
    },
  },
  'the lock': { path: './recipe.lock.json', code: 'output-is-lock' },
  'another output': {
    path: 'other.json',
    code: 'output-twice',
    make: (f, path) => {
      writeFileSync(join(f, 'o.safetensors'), '')
      linkSync(join(f, 'o.safetensors'), join(f, path))
    },
  },
  'a report': { path: 'sub/../r.json', code: 'output-twice' },
  'a report through a folder that is a link': {
    path: 'here/r.json',
    code: 'output-twice',
    make: (f) => symlinkSync(f, join(f, 'here')),
  },
  'the index of an output': { path: 's.safetensors.index.json', code: 'output-twice' },
  'a file below an output': { path: 'o.safetensors/new.json', code: 'output-below-file' },
  'a file below an input': { path: 'a.safetensors/new.json', code: 'output-below-file' },
  'a link': {
    path: 'link.json',
    code: 'output-is-link',
    make: (f, path) => {
      writeFileSync(join(f, 'target'), 'kept')
      symlinkSync('target', join(f, path))
    },
  },
  'a link that leads nowhere': {
    path: 'link.json',
    code: 'output-is-link',
    make: (f, path) => symlinkSync('nowhere', join(f, path)),
  },
  'a FIFO': {
    path: 'fifo.json',
    code: 'output-is-special',
    make: (f, path) => execFileSync('mkfifo', [join(f, path)]),
  },
  'a folder': { path: 'sub/f.json', code: 'output-is-folder', make: (f, path) => mkdirSync(join(f, path)) },
}

/** Everything in a folder: kinds, and the bytes of files. */
const pictureOf = (folder: string): readonly string[] =>
  (readdirSync(folder, { recursive: true }) as string[])
    .filter((name) => !name.endsWith('recipe.yaml') && !name.startsWith('copy.') && !name.startsWith('here'))
    .sort()
    .map((name) => {
      const found = statSync(join(folder, name), { throwIfNoEntry: false })
      return found?.isFile() === true
        ? `${name} ${readFileSync(join(folder, name)).toString('base64')}`
        : `${name} ${found?.isFIFO()} ${found?.isDirectory()}`
    })

/** Files that exist under a name that no model may have. */
const JSON_ALONE = [
  'an index',
  'the config of an adapter',
  'a config through a folder that is a link',
  'the lock',
  'a report',
  'a report through a folder that is a link',
  'the index of an output',
]

describe.each(Object.entries(WAYS))('%s', (way, { code: exit, try: attempt }) => {
  test.each(Object.entries(TARGETS))('may not be %s', (target, { path: named, code: refusal, make }) =>
    inShop(async (folder) => {
      const alone = JSON_ALONE.includes(target)
      const path = way === 'an output' && !alone ? named.replace(/\.json$/, '.safetensors') : named
      const code = way === 'an output' && alone ? 'output-ending' : refusal
      make?.(folder, path)
      const before = pictureOf(folder)
      const result = await attempt(folder, path)
      expect(codesOf(result)).toEqual([code])
      expect(exitCode(result.diagnostics)).toBe(exit)
      expect(pictureOf(folder)).toEqual(before)
    }),
  )
})

test('two options may not name one file', () =>
  inShop(async (folder) => {
    const result = await buildWith(
      folder,
      {},
      { attest: join(folder, 'new.json'), more: [optionDestination('--report', 'sub/../new.json', folder)] },
    )
    expect(codesOf(result)).toEqual(['output-twice'])
    expect(result.diagnostics[0]!.message).toBe('sub/../new.json is also written by `--attest`')
    expect(exitCode(result.diagnostics)).toBe(2)
  }))

test('the lock replaces no input, and no link', () =>
  inShop(async (folder) => {
    symlinkSync('elsewhere', join(folder, 'recipe.lock.json'))
    expect(codesOf(await buildWith(folder, {}))).toEqual(['output-is-link'])
    renameSync(join(folder, 'b/model.safetensors.index.json'), join(folder, 'b/recipe.lock.json'))
    writeFileSync(
      join(folder, 'b/recipe.yaml'),
      JSON.stringify({
        smelt: 1,
        models: { b: 'recipe.lock.json' },
        outputs: { o: { from: 'b', path: '../o.safetensors' } },
      }),
    )
    expect(codesOf(await build(join(folder, 'b/recipe.yaml'), { workers: 1, start: inlineWorker }))).toEqual([
      'output-is-input',
    ])
    expect(existsSync(join(folder, 'o.safetensors'))).toBe(false)
  }))

test('a plan that is run by itself is checked as well, with what stands there by then', () =>
  inShop(async (folder) => {
    const path = join(folder, 'recipe.yaml')
    writeFileSync(path, JSON.stringify(RECIPE))
    const prepared = await prepare(path)
    if (prepared.type === 'failed') throw new Error(codesOf(prepared).join())
    linkSync(join(folder, 'a.safetensors'), join(folder, 'o.safetensors'))
    const result = await run(prepared.value.plan, {
      workers: 1,
      device: 'cpu',
      start: inlineWorker,
      render: renderReport,
    })
    expect(codesOf(result)).toEqual(['output-is-input'])
    expect(readdirSync(folder).filter((name) => name.startsWith('s-'))).toEqual([])
  }))

test('what may be replaced is: outputs, reports, the lock and the attestation of the last build', () =>
  inShop(async (folder) => {
    for (let round = 0; round < 2; round++)
      expect((await buildWith(folder, {}, { attest: join(folder, 'attest.json'), force: true })).diagnostics).toEqual(
        [],
      )
    expect(readdirSync(folder).sort()).toEqual([
      'a.safetensors',
      'attest.json',
      'b',
      'l',
      'o.safetensors',
      'r.json',
      'recipe.lock.json',
      'recipe.yaml',
      's-00001-of-00001.safetensors',
      's.safetensors.index.json',
      'store',
      'sub',
    ])
  }))

test('a folder that is named as a model takes no output beside it, and takes reports', () =>
  inShop(async (folder) => {
    mkdirSync(join(folder, 'm'))
    writeSafetensors(join(folder, 'm/model.safetensors'), MODEL)
    symlinkSync('m', join(folder, 'link'))
    const buildTo = (path: string): Promise<Result<unknown>> => {
      writeFileSync(
        join(folder, 'recipe.yaml'),
        JSON.stringify({
          ...RECIPE,
          models: { a: 'm', b: 'b' },
          outputs: { r: { from: 'look', path: 'm/r.json' }, o: { from: 'x', path } },
        }),
      )
      return build(join(folder, 'recipe.yaml'), {
        workers: 1,
        start: inlineWorker,
        render: renderReport,
        store: openStore(join(folder, 'store')),
      })
    }
    for (const path of [
      'm/o.safetensors',
      'link/o.safetensors',
      './sub/../m/o.safetensors',
      'b/o.safetensors',
      'l/o.safetensors',
    ]) {
      expect(codesOf(await buildTo(path)), path).toEqual(['output-in-model'])
    }
    expect(existsSync(join(folder, 'm/o.safetensors'))).toBe(false)
    expect((await buildTo('m/below/o.safetensors')).type).toBe('ok')
  }))
