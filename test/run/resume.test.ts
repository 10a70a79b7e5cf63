import { spawn } from 'node:child_process'
import {
  appendFileSync,
  closeSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { layoutFile } from '#src/safetensors/layout.js'
import { loadPriorState } from '#src/run/load-prior-state.js'
import { draft } from '#src/run/prepare.js'
import { filesIn } from './support.js'
import { withBuildFixture, settled, shares, type BuildFixture } from './build-fixture.js'

const LIBRARY = new URL('../../dist/index.js', import.meta.url).href
const OUT = 'out.safetensors'
const NAMES = Array.from({ length: 24 }, (_, i) => `layers.${i}.weight`)
const TENSORS = NAMES.length
const recipe = (keep: unknown = 0.5): object => ({
  models: { a: 'a.safetensors', b: 'b.safetensors' },
  steps: { x: { op: 'merge.blend', a: 'a', b: 'b', keep } },
  outputs: { out: { from: 'x', path: OUT } },
})

/** Builds in a process of its own, which kills itself as soon as its journal tells of so many tensors. */
const SCRIPT = `
import { readdirSync, readFileSync } from 'node:fs'
import { build } from ${JSON.stringify(LIBRARY)}
const done = () => readdirSync('.').filter((f) => f.endsWith('.journal')).flatMap((f) => [...new Set(readFileSync(f, 'utf8').match(/\\["w",[^\\]]*\\]/g) ?? [])]).length
await build('recipe.yaml', { workers: 1, listener: () => { if (done() >= Number(process.argv[1])) process.kill(process.pid, 'SIGKILL') } })
`
const killAfter = (shop: BuildFixture, tensors: number, made: object = recipe()): Promise<void> =>
  new Promise((resolve, reject) => {
    writeFileSync(shop.at('recipe.yaml'), JSON.stringify({ smelt: 1, ...made }))
    const child = spawn(process.execPath, ['--input-type=module', '--eval', SCRIPT, String(tensors)], {
      cwd: shop.folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    child.on('error', reject)
    child.on('exit', (code, signal) =>
      signal === 'SIGKILL'
        ? resolve()
        : reject(new Error(`the build ended with ${code} before ${tensors} tensors were done`)),
    )
  })

const SIZE = [96, 1000]
/** Writes a model of f16 numbers between 0.1 and 2, different from byte to byte. */
const writeModel = async (shop: BuildFixture, name: string, by: number): Promise<void> => {
  const { header, bytes } = layoutFile(
    NAMES.map((tensor) => ({ name: tensor, dtype: 'F16', shape: SIZE })),
    {},
  )
  const file = Buffer.alloc(bytes)
  for (let i = 0; i < bytes; i++) file[i] = 0x30 + ((i * by + (i >> 9)) % 15)
  file.set(header)
  writeFileSync(shop.at(`${name}.safetensors`), file)
  await settled(shop.at(`${name}.safetensors`))
}
const withModels = (work: (shop: BuildFixture) => Promise<void>): Promise<void> =>
  withBuildFixture(async (shop) => {
    for (const [name, by] of [
      ['a', 3],
      ['b', 5],
    ] as const)
      await writeModel(shop, name, by)
    await work(shop)
  })

const left = (shop: BuildFixture, ending: string): string =>
  shop.at(readdirSync(shop.folder).find((f) => f.endsWith(ending))!)
const KEPT = ['a.safetensors', 'b.safetensors', OUT, 'recipe.lock.json', 'recipe.yaml']
const expectWhole = async (shop: BuildFixture, made: object = recipe()): Promise<void> => {
  expect(filesIn(shop.folder)).toEqual(KEPT)
  const [found, wanted] = [...shop.read(OUT), ...(await shop.fresh(made, [OUT]))]
  // Not `toEqual`, which looks at megabytes one by one.
  expect(found!.equals(wanted!)).toBe(true)
}
const flip = (path: string, at: number): void => {
  const fd = openSync(path, 'r+')
  writeSync(fd, Uint8Array.of(readFileSync(path)[at]! ^ 1), 0, 1, at)
  closeSync(fd)
}

describe('the build after one that was killed', () => {
  test('takes over what was done, without a store, and leaves nothing behind', () =>
    withModels(async (shop) => {
      await killAfter(shop, TENSORS / 2)
      expect(
        filesIn(shop.folder)
          .filter((f) => f.startsWith('.'))
          .map((f) => f.replace(/\.[0-9a-f]{8}-.*\./, '.RUN.'))
          .sort(),
      ).toEqual(['.out.safetensors.RUN.journal', '.out.safetensors.RUN.partial', '.out.safetensors.building'].sort())
      const { store: _, ...options } = { store: undefined }
      const again = await shop.build(recipe(), options)
      expect(again.codes).toEqual([])
      expect(again.started!.reused).toBeGreaterThanOrEqual(0.45 * TENSORS)
      expect(again.started!.tensors).toBe(TENSORS)
      expect(shares(again)).toEqual({
        computed: TENSORS - again.started!.reused,
        reused: again.started!.reused,
        copied: 0,
      })
      await expectWhole(shop)
    }))

  test('takes over of another recipe only what is the same', () =>
    withModels(async (shop) => {
      await killAfter(shop, TENSORS / 2)
      const other = recipe(
        Object.fromEntries([
          ['default', 0.5],
          ...NAMES.filter((_, i) => i % 2 === 0).map((name) => [name, 0.25] as const),
        ]),
      )
      // The header tells the recipe's text, so that the file has another length and none of it can stand where it is.
      const again = await shop.build(other)
      expect(again.codes).toEqual([])
      expect(shares(again)).toMatchObject({ computed: TENSORS, reused: 0 })
      await expectWhole(shop, other)
    }))

  test('takes over of a recipe of the same length what is the same', () =>
    withModels(async (shop) => {
      const keep = (last: number): object => recipe({ default: 0.5, [NAMES[0]!]: last })
      await killAfter(shop, TENSORS / 2, keep(0.25))
      const again = await shop.build(keep(0.75))
      expect(again.codes).toEqual([])
      expect(again.started!.reused).toBeGreaterThanOrEqual(0.45 * TENSORS - 1)
      expect(again.plan!.jobs.flatMap((j) => j.targets.map((t) => t.tensor))).toContain(NAMES[0])
      await expectWhole(shop, keep(0.75))
    }))

  test('takes nothing over when an input is another file since', () =>
    withModels(async (shop) => {
      await killAfter(shop, TENSORS / 2)
      await writeModel(shop, 'b', 7)
      const again = await shop.build(recipe())
      expect(shares(again)).toEqual({ computed: TENSORS, reused: 0, copied: 0 })
      await expectWhole(shop)
    }))

  test('finds bits that flipped in what was done, warns, and computes everything', () =>
    withModels(async (shop) => {
      await killAfter(shop, TENSORS / 2)
      const journal = readFileSync(left(shop, '.journal'), 'utf8')
      const [, , begin] = JSON.parse(/\["w",[^\]]*\]/.exec(journal)![0]) as [string, string, number]
      flip(left(shop, '.partial'), begin + 1234)
      const again = await shop.build(recipe())
      expect(again.codes).toEqual(['reuse-broken'])
      expect(again.result).toMatchObject({
        type: 'ok',
        diagnostics: [{ severity: 'warning', at: { path: shop.at(OUT) } }],
      })
      expect(again.started).toMatchObject({ reused: 0 })
      await expectWhole(shop)
    }))

  test.each<[string, (journal: string) => string]>([
    ['its last line torn', (text) => text.slice(0, -20)],
    ['noise at its end', (text) => `${text}\u0000\u0000\u0000 not a line`],
    [
      'a digit changed in its midst',
      (text) => text.replace(/"blake3:([0-9a-f])/, (_, d: string) => `"blake3:${d === '0' ? '1' : '0'}`),
    ],
    ['nothing in it', () => ''],
  ])('does not mind a journal with %s', (_, alter) =>
    withModels(async (shop) => {
      await killAfter(shop, TENSORS / 2)
      const path = left(shop, '.journal')
      writeFileSync(path, alter(readFileSync(path, 'utf8')))
      const again = await shop.build(recipe())
      expect(again.codes).toEqual([])
      await expectWhole(shop)
    }),
  )

  test('finds the journal as it was, torn end and all, whoever planned in between', () =>
    withModels(async (shop) => {
      await killAfter(shop, 8)
      const path = left(shop, '.journal')
      appendFileSync(path, readFileSync(path, 'utf8').slice(0, 30))
      const before = readFileSync(path)
      const drafted = await draft(shop.at('recipe.yaml'))
      if (drafted.type === 'failed') throw new Error('no plan')
      const known = await loadPriorState(drafted.value.draft, undefined, 'never', { workers: 1, device: 'cpu' })
      expect(known.type === 'ok' && known.value.unfinished.get(shop.at(OUT))?.tensors.size).toBeGreaterThanOrEqual(8)
      expect(readFileSync(path).equals(before)).toBe(true)
    }))

  test('does not mind that the journal is gone, or the unfinished file cut short', () =>
    withModels(async (shop) => {
      await killAfter(shop, TENSORS / 2)
      rmSync(left(shop, '.journal'))
      expect(shares(await shop.build(recipe()))).toMatchObject({ reused: 0 })
      await expectWhole(shop)
      rmSync(shop.at(OUT))
      await killAfter(shop, TENSORS / 2)
      const path = left(shop, '.partial')
      writeFileSync(path, readFileSync(path).subarray(0, 4000))
      expect((await shop.build(recipe(), { force: true })).codes).toEqual([])
      await expectWhole(shop)
    }))

  test('that is killed as well leaves its own part to the one after it', () =>
    withModels(async (shop) => {
      await killAfter(shop, 6)
      await killAfter(shop, 15)
      const again = await shop.build(recipe())
      expect(again.started!.reused).toBeGreaterThanOrEqual(15)
      await expectWhole(shop)
    }))

  test('computes everything when it is forced to, and clears up', () =>
    withModels(async (shop) => {
      await killAfter(shop, TENSORS / 2)
      expect(shares(await shop.build(recipe(), { force: true }))).toEqual({ computed: TENSORS, reused: 0, copied: 0 })
      await expectWhole(shop)
    }))

  test('clears up too when the output stands as it would be written', () =>
    withModels(async (shop) => {
      await shop.build(recipe())
      const before = statSync(shop.at(OUT)).ino
      const script = SCRIPT.replace('{ workers: 1,', '{ workers: 1, force: true,')
      expect(script).not.toBe(SCRIPT)
      await new Promise((resolve) =>
        spawn(process.execPath, ['--input-type=module', '--eval', script, '5'], {
          cwd: shop.folder,
          stdio: 'ignore',
        }).on('exit', resolve),
      )
      expect(filesIn(shop.folder).some((f) => f.endsWith('.partial'))).toBe(true)
      const again = await shop.build(recipe())
      expect(again.result).toMatchObject({ type: 'ok', value: { outputs: [{ kept: true }] } })
      expect(statSync(shop.at(OUT)).ino).toBe(before)
      expect(filesIn(shop.folder)).toEqual(KEPT)
    }))
})

test('what a build that still runs has unfinished is not taken from it', () =>
  withModels(async (shop) => {
    await shop.build(recipe())
    const own = `.out.safetensors.${'x'.repeat(8)}.partial`
    appendFileSync(join(shop.folder, own), 'somebody else’s')
    await shop.build(recipe(0.75))
    expect(filesIn(shop.folder)).toEqual([own, ...KEPT])
  }))
