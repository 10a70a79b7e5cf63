import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { exitCode } from '#src/base/diagnostic.js'
import type { Result } from '#src/base/result.js'
import * as smelt from '#src/index.js'
import { writeSafetensors } from './support/write-safetensors.js'

const folder = mkdtempSync(join(tmpdir(), 'smelt-library-'))
const at = (name: string): string => join(folder, name)
const recipe = at('recipe.yaml')

const cache = process.env['SMELT_CACHE']
beforeAll(() => {
  // Builds of the library use the user's store unless told otherwise.
  process.env['SMELT_CACHE'] = at('cache')
  for (const [name, first] of [
    ['a', 1],
    ['b', 5],
  ] as const)
    writeSafetensors(at(`${name}.safetensors`), { w: { dtype: 'F32', shape: [4], values: [first, 2, 3, 4] } })
  writeFileSync(
    recipe,
    JSON.stringify({
      smelt: 1,
      params: { keep: 0.5 },
      models: { a: 'a.safetensors', b: 'b.safetensors' },
      steps: { s: { op: 'merge.blend', a: 'a', b: 'b', keep: '$keep' }, look: { op: 'report.model', model: 's' } },
      outputs: { o: { from: 's', path: 'o.safetensors' }, r: { from: 'look', path: 'r.json' } },
    }),
  )
})
beforeEach(() => ['o.safetensors', 'r.json', 'recipe.lock.json'].forEach((name) => rmSync(at(name), { force: true })))
afterAll(() => {
  if (cache === undefined) delete process.env['SMELT_CACHE']
  else process.env['SMELT_CACHE'] = cache
  rmSync(folder, { recursive: true, force: true })
})

/** Called as from JavaScript, which has no types to keep it from anything. */
type Loose = Readonly<Record<string, (...args: readonly unknown[]) => Promise<Result<unknown>> | Result<unknown>>>
const loose = smelt as unknown as Loose
const told = async (name: string, ...args: readonly unknown[]): Promise<string> => {
  const { diagnostics } = await loose[name]!(...args)
  expect(exitCode(diagnostics)).toBe(2)
  return diagnostics.map((d) => `${d.code} ${d.at?.type === 'option' ? d.at.name : ''}`).join()
}

const planOf = async (): Promise<smelt.Plan> => {
  const prepared = await smelt.prepare(recipe)
  if (prepared.type === 'failed') throw new Error('no plan')
  return prepared.value.plan
}

describe('a wrong option of build', () => {
  test.each<[string, object]>([
    ['workers', { workers: 0 }],
    ['workers', { workers: 1.5 }],
    ['workers', { workers: '2' }],
    ['workers', { workers: 1e9 }],
    ['workers', { workers: NaN }],
    ['device', { device: 'gpu' }],
    ['device', { device: 'cuda' }],
    ['set', { set: { keep: 0.5 } }],
    ['set', { set: 'keep=0.5' }],
    ['out', { out: '' }],
    ['out', { out: 5 }],
    ['lock', { lock: 'yes' }],
    ['frozen', { frozen: 1 }],
    ['force', { force: 'false' }],
    ['sha256', { sha256: 'all' }],
    ['attest', { attest: true }],
    ['store', { store: folder }],
    ['listener', { listener: {} }],
    ['planned', { planned: true }],
    ['render', { render: 'html' }],
    ['signal', { signal: new AbortController() }],
    ['places', { places: { toolkits: '/usr' } }],
    ['places', { places: { tolkits: [] } }],
    ['workers', { workers: null }],
  ])('is told, and nothing is written: %s %j', async (name, options) => {
    expect(await told('build', recipe, options)).toBe(`argument-wrong build: ${name}`)
    expect(existsSync(at('o.safetensors'))).toBe(false)
  })

  test.each(['cutting', 'start', 'choose', 'more', 'jobs', 'wokers'])(
    'is one that there is not, or that is for smelt alone: %s',
    async (name) => {
      expect(await told('build', recipe, { [name]: { chunk: 1000 } })).toBe(`option-unknown build: ${name}`)
      expect(existsSync(at('o.safetensors'))).toBe(false)
    },
  )

  test('is told with what was meant, all of them at once', async () => {
    const { diagnostics } = await loose['build']!(recipe, { wokers: 2, frozen: 'no' })
    expect(diagnostics.map((d) => `${d.message}; ${d.help}`)).toEqual([
      '`build` has no option `wokers`; did you mean `workers`?',
      '`frozen` of `build` is the string "no"; expected true or false; pass true or false',
    ])
  })

  test('is not one that is undefined, as if it were not given', async () => {
    const built = await loose['build']!(recipe, { out: undefined, workers: 1, signal: undefined, listener: undefined })
    expect(built.type).toBe('ok')
  })

  test('is a path or options of another type', async () => {
    expect(await told('build')).toBe('argument-wrong build: path')
    expect(await told('build', 5, [])).toBe('argument-wrong build: path,argument-wrong build: options')
    expect(await told('build', recipe, null)).toBe('argument-wrong build: options')
  })
})

describe('a plan', () => {
  test('is run with options that are checked', async () => {
    const plan = await planOf()
    expect(await told('run', plan, { workers: 2, cutting: { chunk: 1000 } })).toBe('option-unknown run: cutting')
    expect(await told('run', plan, { device: 'cuda:0' })).toBe('argument-wrong run: device')
    expect(await told('run', plan, { lock: recipe })).toBe('argument-wrong run: lock')
    expect(await told('run', plan, { memory: { store: smelt.openStore(at('store')) } })).toBe(
      'argument-wrong run: memory',
    )
    expect(await told('run', {}, {})).toBe('argument-wrong run: plan')
    expect(existsSync(at('o.safetensors'))).toBe(false)
  })

  test('that was made to find mistakes only is not run: its outputs would be empty', async () => {
    const prepared = await smelt.prepare(recipe, { jobs: false })
    if (prepared.type === 'failed') throw new Error('no plan')
    expect(await told('run', prepared.value.plan, { workers: 1 })).toBe('plan-without-work run: plan')
    expect(existsSync(at('o.safetensors'))).toBe(false)
  })

  test('is made of all that its recipe names', async () => {
    const parsed = await smelt.readRecipe(recipe)
    if (parsed.type === 'failed') throw new Error('no recipe')
    expect(await told('makePlan', parsed.value, new Map(), { recipe: folder })).toBe('argument-wrong makePlan: models')
    const models = await smelt.openModels(parsed.value, folder)
    if (models.type === 'failed') throw new Error('no models')
    expect(await told('makePlan', parsed.value, models.value, folder)).toBe('argument-wrong makePlan: folders')
    expect(await told('makePlan', parsed.value, models.value, { recipe: folder }, undefined, { job: false })).toBe(
      'option-unknown makePlan: job',
    )
    expect((await loose['makePlan']!(parsed.value, models.value, { recipe: folder })).type).toBe('ok')
  })

  test('is made of models and adapters that are opened apart', async () => {
    const tensor = { dtype: 'F32', shape: [4], values: [1, 2, 3, 4] } as const
    writeSafetensors(at('net.safetensors'), { 'x.weight': tensor })
    writeSafetensors(at('lora.safetensors'), { 'x.diff': tensor })
    const text = JSON.stringify({
      smelt: 1,
      models: { net: 'net.safetensors' },
      adapters: { lora: 'lora.safetensors' },
      steps: { s: { op: 'adapter.apply', model: 'net', adapter: 'lora' } },
      outputs: { o: { from: 's', path: 'o.safetensors' } },
    })
    const parsed = smelt.parse({ path: at('net.yaml'), text })
    if (parsed.type === 'failed') throw new Error('no recipe')
    const models = await smelt.openModels(parsed.value, folder)
    const adapters = await smelt.openAdapters(parsed.value, folder)
    if (models.type === 'failed' || adapters.type === 'failed') throw new Error('no inputs')
    expect([[...models.value.keys()], [...adapters.value.keys()]]).toEqual([['net'], ['lora']])
    const folders = { recipe: folder, out: undefined }
    expect(await told('makePlan', parsed.value, models.value, folders)).toBe('argument-wrong makePlan: adapters')
    const plan = smelt.makePlan(parsed.value, models.value, folders, adapters.value)
    if (plan.type === 'failed') throw new Error('no plan')
    expect(plan.value.steps.map((step) => step.counts)).toEqual([{ merged: 1 }])
  })
})

test('every other function checks what it is given', async () => {
  expect(await told('prepare', recipe, { outt: folder })).toBe('option-unknown prepare: outt')
  expect(await told('prepare', '')).toBe('argument-wrong prepare: path')
  expect(await told('readRecipe', recipe, { set: [] })).toBe('argument-wrong readRecipe: set')
  expect(await told('parse', 'smelt: 1')).toBe('argument-wrong parse: source')
  expect(await told('parse', { path: 'x', text: '' }, { sett: {} })).toBe('option-unknown parse: sett')
  expect(await told('openModels', {}, folder)).toBe('argument-wrong openModels: recipe')
  expect(await told('verify', recipe, { workers: 'all' })).toBe('argument-wrong verify: workers')
  expect(await told('openModel', undefined)).toBe('argument-wrong openModel: path')
  expect(await told('openAdapter', '')).toBe('argument-wrong openAdapter: path')
  expect(() => smelt.openStore('')).toThrow(TypeError)
  expect(() => smelt.openStore(folder, NaN)).toThrow('expected a number of bytes')
})

describe('a function of the caller', () => {
  test('that throws in a listener stops the build, which leaves what was there, and is heard of', async () => {
    writeFileSync(at('o.safetensors'), 'old')
    const listener = (event: smelt.RunEvent): void => {
      if (event.type === 'units-finished') throw new Error('a mistake of the caller')
    }
    await expect(smelt.build(recipe, { workers: 1, listener })).rejects.toThrow('a mistake of the caller')
    const later = async (event: smelt.RunEvent): Promise<void> => listener(await Promise.resolve(event))
    await expect(smelt.build(recipe, { workers: 1, listener: later })).rejects.toThrow('a mistake of the caller')
    expect(readFileSync(at('o.safetensors'), 'utf8')).toBe('old')
  })

  test('that draws something else than bytes leaves what was there', async () => {
    writeFileSync(at('o.safetensors'), 'old')
    await expect(loose['build']!(recipe, { workers: 1, render: () => 'a text' })).rejects.toThrow(
      '`render` gave no Uint8Array',
    )
    expect(readFileSync(at('o.safetensors'), 'utf8')).toBe('old')
  })
})
