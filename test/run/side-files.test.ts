import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { exitCode } from '#src/base/diagnostic.js'
import { renderReport } from '#src/view/report/render.js'
import { reasonsOf } from '#src/plan/reasons.js'
import { openModel } from '#src/safetensors/model.js'
import type { BuildOptions } from '#src/run/build.js'
import { verify } from '#src/run/verify.js'
import type { Lock } from '#src/store/lock.js'
import { renderWhy } from '#src/view/why.js'
import { inlineWorker } from '../support/inline-worker.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'
import { withBuildFixture, settled, shares, type Rebuilt, type BuildFixture } from './build-fixture.js'

const LOCK = 'recipe.lock.json'
const CONFIG = 'peft/adapter_config.json'
const REPORT = 'adapter.json'
const FACTORS: Readonly<Record<string, TensorValues>> = {
  'base_model.model.layers.0.lora_A.weight': { dtype: 'F32', shape: [2, 16], values: 0.5 },
  'base_model.model.layers.0.lora_B.weight': { dtype: 'F32', shape: [8, 2], values: 0.25 },
}
const recipe = (step = 'baked'): object => ({
  models: { a: 'a.safetensors' },
  adapters: { lora: 'peft' },
  steps: {
    [step]: { op: 'adapter.apply', model: 'a', adapter: 'lora' },
    look: { op: 'report.adapter', adapter: 'lora', model: 'a' },
    seen: { op: 'report.diff', a: 'a', b: step },
  },
  outputs: {
    out: { from: step, path: 'out.safetensors', tags: ['lora'] },
    page: { from: 'look', path: REPORT },
    diff: { from: 'seen', path: 'diff.html' },
  },
})
const FILES = ['out.safetensors', REPORT, 'diff.html', LOCK]
const OPTIONS: BuildOptions = { render: renderReport }
const tags = (count: number): Readonly<Record<string, string>> => ({
  ss_tag_frequency: JSON.stringify({ folder: { ink: count } }),
})

const writeAdapter = (shop: BuildFixture, metadata: Readonly<Record<string, string>>): Promise<void> => {
  writeSafetensors(shop.at('peft/adapter_model.safetensors'), FACTORS, metadata)
  return settled(shop.at('peft/adapter_model.safetensors'))
}
const writeConfig = (shop: BuildFixture, alpha: number, more: object = {}): void =>
  writeFileSync(shop.at(CONFIG), JSON.stringify({ r: 2, lora_alpha: alpha, ...more }))

const withAdapter = (work: (shop: BuildFixture) => Promise<void>): Promise<void> =>
  withBuildFixture(async (shop) => {
    mkdirSync(shop.at('peft'))
    await shop.model('a.safetensors', 0)
    await writeAdapter(shop, tags(1))
    writeConfig(shop, 2)
    await work(shop)
  })
const lockOf = (shop: BuildFixture): Lock => JSON.parse(readFileSync(shop.at(LOCK), 'utf8')) as Lock
const check = (shop: BuildFixture) => verify(shop.at('recipe.yaml'), { workers: 1, device: 'cpu', start: inlineWorker })
const whyOf = ({ plan }: Rebuilt, lock: Lock): readonly string[] => {
  const steps = plan!.steps.map((s) => ({ ...s, reason: '', numbers: {}, reasons: reasonsOf(plan!, lock)(s) }))
  return renderWhy(steps, { color: false, width: 80 }).trimEnd().split('\n')
}

/** What a person does to something beside the tensors of the adapter, and how `why` tells of it. */
const EDITS: readonly (readonly [string, (shop: BuildFixture) => void | Promise<void>, string])[] = [
  ['other tags', (shop) => writeAdapter(shop, tags(7)), 'the metadata of input `peft` changed'],
  ['an alpha of its config', (shop) => writeConfig(shop, 8), '`adapter_config.json` of input `peft` changed'],
  [
    'a word of its config that changes no number',
    (shop) => writeConfig(shop, 2, { revision: 'main' }),
    '`adapter_config.json` of input `peft` changed',
  ],
  ['no metadata any more', (shop) => writeAdapter(shop, {}), 'the metadata of input `peft` was removed'],
]

describe('what stands beside the tensors of an input', () => {
  test.each(EDITS)('changes what is made of it, by name: %s', (_, edit, told) =>
    withAdapter(async (shop) => {
      expect((await shop.build(recipe(), OPTIONS)).codes).toEqual([])
      const before = lockOf(shop)
      await edit(shop)
      const again = await shop.build(recipe(), OPTIONS)
      expect(again.codes).toEqual([])
      expect(shop.read(...FILES)).toEqual(await shop.fresh(recipe(), FILES, OPTIONS))
      const why = whyOf(again, before)
      expect(why).toContain(`  ${told}`)
      expect(why.join()).not.toContain('not at hand')
      expect(lockOf(shop)).not.toEqual(before)
    }),
  )

  test.each(EDITS)('fails a frozen build and the verification where it is not as locked: %s', (_, edit, told) =>
    withAdapter(async (shop) => {
      await shop.build(recipe(), OPTIONS)
      const done = await check(shop)
      expect(done).toMatchObject({
        type: 'ok',
        value: {
          files: [
            { path: 'a.safetensors', sides: [] },
            { path: 'peft', sides: ['adapter_config.json'] },
            { type: 'output' },
          ],
        },
      })
      await edit(shop)
      const refused = await shop.build(recipe(), { ...OPTIONS, frozen: true })
      expect(refused.result.diagnostics.map((d) => [d.code, d.message])).toEqual([
        ['lock-differs', `the lock does not match: ${told}`],
      ])
      expect(refused.started).toBeUndefined()
      const found = await check(shop)
      expect(found.diagnostics.map((d) => [d.code, d.message])).toEqual([
        ['not-as-locked', `peft does not match the lock: ${told}`],
      ])
      expect(exitCode(found.diagnostics)).toBe(4)
    }),
  )

  test('is left alone with all that is made of it when nothing changed', () =>
    withAdapter(async (shop) => {
      await shop.build(recipe(), OPTIONS)
      const again = await shop.build(recipe(), OPTIONS)
      expect(again.result).toMatchObject({ value: { writtenBytes: 0, outputs: [{ kept: true }] } })
      expect(again.events.filter((e) => e.type === 'report-written')).toEqual([])
    }))

  test('is told of a step whose numbers are taken over, for its output repeats it', () =>
    withAdapter(async (shop) => {
      await shop.build(recipe(), OPTIONS)
      const before = lockOf(shop)
      await writeAdapter(shop, tags(7))
      const again = await shop.build(recipe(), OPTIONS)
      expect(shares(again)).toMatchObject({ computed: 0 })
      expect(whyOf(again, before).slice(0, 3)).toEqual([
        'baked  adapter.apply',
        '  reused from the last build',
        '  the metadata of input `peft` changed',
      ])
      const written = await openModel(shop.at('out.safetensors'))
      expect(written.type === 'ok' && written.value.metadata.get('smelt.tags')).toBe('[["ink",7]]')
    }))

  test.each<[string, (shop: BuildFixture) => void]>([
    ['changes', (shop) => writeConfig(shop, 8)],
    ['goes', (shop) => rmSync(shop.at(CONFIG))],
  ])('that %s while a build runs fails it', (_, happen) =>
    withAdapter(async (shop) => {
      const refused = await shop.build(recipe(), {
        ...OPTIONS,
        listener: (e) => {
          if (e.type === 'run-started') happen(shop)
        },
      })
      expect(refused.result.diagnostics.map((d) => [d.code, d.at?.type === 'file' ? d.at.path : ''])).toEqual([
        ['input-changed', shop.at(CONFIG)],
      ])
    }),
  )

  test('that comes while a build runs fails it, and is told of by the next lock', () =>
    withAdapter(async (shop) => {
      const text = readFileSync(shop.at(CONFIG))
      rmSync(shop.at(CONFIG))
      // Names of programs that make pictures need no config.
      const named = Object.fromEntries(
        Object.entries(FACTORS).map(([name, values]) => [name.replace('base_model.model', 'transformer'), values]),
      )
      writeSafetensors(shop.at('peft/adapter_model.safetensors'), named)
      await settled(shop.at('peft/adapter_model.safetensors'))
      const refused = await shop.build(recipe(), {
        ...OPTIONS,
        listener: (e) => {
          if (e.type === 'run-started') writeFileSync(shop.at(CONFIG), text)
        },
      })
      expect(refused.codes).toEqual(['input-changed'])
      rmSync(shop.at(CONFIG))
      expect((await shop.build(recipe(), OPTIONS)).codes).toEqual([])
      const before = lockOf(shop)
      expect(before.inputs['peft']).toMatchObject({ sides: { 'adapter_config.json': null } })
      writeFileSync(shop.at(CONFIG), text)
      expect(whyOf(await shop.build(recipe(), OPTIONS), before)).toContain(
        '  `adapter_config.json` of input `peft` is new',
      )
    }))
})

test('a report shows the new name of a step that was renamed', () =>
  withAdapter(async (shop) => {
    await shop.build(recipe('one'), OPTIONS)
    expect(readFileSync(shop.at('diff.html'), 'utf8')).toContain('step one')
    await shop.build(recipe('other'), OPTIONS)
    expect(readFileSync(shop.at('diff.html'), 'utf8')).toContain('step other')
    expect(shop.read(...FILES)).toEqual(await shop.fresh(recipe('other'), FILES, OPTIONS))
  }))

describe('a lock of version 1', () => {
  /** The lock as it was before it told of metadata and side files. */
  const older = (shop: BuildFixture): Buffer => {
    const lock = lockOf(shop)
    const inputs = Object.fromEntries(
      Object.entries(lock.inputs).map(([path, { digest, bytes, tensors }]) => [path, { digest, bytes, tensors }]),
    )
    return Buffer.from(JSON.stringify({ ...lock, lock: 1, inputs }))
  }

  test('is read, is kept to by a frozen build, and becomes one of version 2 by the next that is not', () =>
    withAdapter(async (shop) => {
      await shop.build(recipe(), OPTIONS)
      const now = shop.read(LOCK)
      writeFileSync(shop.at(LOCK), older(shop))
      await writeAdapter(shop, tags(7))
      const frozen = await shop.build(recipe(), { ...OPTIONS, frozen: true })
      expect(frozen.codes).toEqual([])
      expect((await check(shop)).type).toBe('ok')
      await writeAdapter(shop, tags(1))
      await shop.build(recipe(), OPTIONS)
      expect(shop.read(LOCK)).toEqual(now)
      expect(shop.read('out.safetensors', REPORT)).toEqual(
        await shop.fresh(recipe(), ['out.safetensors', REPORT], OPTIONS),
      )
    }))

  test('gives a frozen build the digest that its outputs bear', () =>
    withAdapter(async (shop) => {
      await writeAdapter(shop, {})
      await shop.build(recipe(), OPTIONS)
      writeFileSync(shop.at(LOCK), older(shop))
      const frozen = await shop.build(recipe(), { ...OPTIONS, frozen: true })
      const [first, second] = [
        frozen.result.type === 'ok' && frozen.result.value.lock,
        await openModel(shop.at('out.safetensors')),
      ]
      expect(first && first.lock).toBe(1)
      expect(second.type === 'ok' && second.value.metadata.get('smelt.lock')).toBe(first && first.builds[0]!.digest)
    }))
})
