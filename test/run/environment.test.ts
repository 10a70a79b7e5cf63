import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { build, type BuildOptions } from '#src/run/build.js'
import { contentSha256, fileSha256 } from '../support/content-sha256.js'
import { smelt } from '../support/smelt.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'

const RECIPE = {
  smelt: 1,
  name: 'every kind of work',
  seed: 'seed',
  params: { keep: 0.3, density: 0.25 },
  models: { base: 'base.safetensors', a: 'a.safetensors', b: 'b.safetensors' },
  steps: {
    strong: { op: 'mask.magnitude', model: 'a', base: 'base', quantile: 0.7, scope: 'model' },
    blend: { op: 'merge.blend', a: 'a', b: 'b', keep: '$keep', mask: 'strong', method: 'slerp' },
    noisy: { op: 'model.noise', model: 'blend', layers: '**.weight', std: 0.02 },
    ties: {
      op: 'merge.dare_ties',
      base: 'base',
      models: [
        { model: 'a', density: '$density' },
        { model: 'b', density: '$density' },
      ],
    },
  },
  outputs: {
    noisy: { from: 'noisy', path: 'out/noisy.safetensors', metadata: { zebra: 'z', Ärger: 'ä', author: 'me' } },
    ties: { from: 'ties', path: 'out/ties.safetensors', dtype: 'bf16', shard_size: '200kB' },
    mask: { from: 'strong', path: 'out/mask.safetensors' },
  },
}

/** Names that sort differently by locale, by code unit and by code point. */
const NAMES = [
  'Zeta.weight',
  'alpha.weight',
  'ähnlich.weight',
  'ıI.weight',
  'i.weight',
  '\u{1f600}.weight',
  '\uffee.weight',
  'x.10.weight',
  'x.9.weight',
]
const LARGE = 150_001

const makeModel = (seed: number): Readonly<Record<string, TensorValues>> => {
  let state = seed
  const draw = (n: number): number[] =>
    Array.from({ length: n }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return 1 + Math.round((state / 2 ** 32 - 0.5) * 64) / 64
    })
  return {
    'large.weight': { dtype: 'F16', shape: [LARGE], values: draw(LARGE) },
    ...Object.fromEntries(
      NAMES.map((name): [string, TensorValues] => [name, { dtype: 'F32', shape: [3, 50], values: draw(150) }]),
    ),
    counter: { dtype: 'I64', shape: [1, 3], values: [0, 1, 2] },
  }
}
const MODELS = { base: makeModel(1), a: makeModel(2), b: makeModel(3) }

const root = mkdtempSync(join(tmpdir(), 'smelt-environment-'))
let count = 0

/** A folder of that name with the models, copied in the order of `order`, and a recipe. */
const makeFolder = (name: string, recipe: object = RECIPE, order: readonly string[] = Object.keys(MODELS)): string => {
  const folder = join(root, String(count++), name)
  mkdirSync(folder, { recursive: true })
  for (const model of order) copyFileSync(join(root, `${model}.safetensors`), join(folder, `${model}.safetensors`))
  writeFileSync(join(folder, 'recipe.yaml'), JSON.stringify(recipe))
  return folder
}

interface Written {
  readonly contents: Readonly<Record<string, string>>
  readonly files: readonly string[]
}

/** Digests of what lies in the folder `out`: of each output, and of each file with its name. */
const writtenIn = (folder: string): Written => {
  const paths = readdirSync(join(folder, 'out'))
    .sort()
    .map((name) => join(folder, 'out', name))
  const models = paths.filter((path) => path.endsWith('.safetensors'))
  const outputs = [...new Set(models.map((path) => basename(path).replace(/(-\d+-of-\d+)?\.safetensors$/, '')))]
  return {
    contents: Object.fromEntries(
      outputs.map((output) => [output, contentSha256(models.filter((path) => basename(path).startsWith(output)))]),
    ),
    files: fileSha256(paths).map((digest, i) => `${basename(paths[i]!)} ${digest}`),
  }
}

/** Builds with the real program. */
const startIn = async (
  folder: string,
  {
    args = [],
    env = {},
    cwd = folder,
  }: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<Written> => {
  // Each folder has a home of its own, so that nothing is taken from what an earlier build left.
  const home = { HOME: join(folder, 'home'), XDG_CACHE_HOME: join(folder, 'home', 'cache') }
  const done = await smelt(
    cwd,
    ['build', cwd === folder ? 'recipe.yaml' : join(folder, 'recipe.yaml'), '--quiet', ...args],
    { env: { ...home, ...env } },
  )
  if (done.code !== 0) throw new Error(`${done.code}: ${done.stderr}`)
  return writtenIn(folder)
}

/** Builds within this process. */
const buildIn = async (folder: string, options: BuildOptions = {}): Promise<Written> => {
  const built = await build(join(folder, 'recipe.yaml'), { workers: 1, ...options })
  expect(built.diagnostics).toEqual([])
  return writtenIn(folder)
}

let first: Written
beforeAll(async () => {
  for (const [name, tensors] of Object.entries(MODELS)) writeSafetensors(join(root, `${name}.safetensors`), tensors)
  first = await startIn(makeFolder('plain'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

test('there is something to compare: one file, several shards with their index, and a mask', () => {
  expect(Object.keys(first.contents)).toEqual(['mask', 'noisy', 'ties'])
  expect(new Set(Object.values(first.contents)).size).toBe(3)
  expect(first.files.length).toBeGreaterThan(4)
})

describe('the files of the real program are the same, byte for byte,', () => {
  // One start for many differences: none of them may change a byte, so that all at once do not either.
  test.each<[string, string, readonly string[], Readonly<Record<string, string>>]>([
    [
      'a Turkish locale, whose letters i differ, the time zone of tomorrow, a small heap and four workers',
      '日本',
      ['--workers', '4'],
      {
        LANG: 'tr_TR.UTF-8',
        LC_ALL: 'tr_TR.UTF-8',
        TZ: 'Pacific/Kiritimati',
        NODE_OPTIONS: '--max-old-space-size=128',
      },
    ],
    [
      'a Swedish locale, which sorts ä last, no home, other numbers of threads and one worker',
      '-rf',
      ['--workers', '1'],
      {
        LANG: 'sv_SE.UTF-8',
        LC_ALL: 'sv_SE.UTF-8',
        LANGUAGE: 'sv',
        HOME: '/nowhere',
        USER: 'someone',
        HOSTNAME: 'elsewhere',
        NODE_OPTIONS: '--stack-trace-limit=50',
        UV_THREADPOOL_SIZE: '1',
        OMP_NUM_THREADS: '1',
      },
    ],
  ])('with %s, in a folder called %s', async (_, name, args, env) => {
    expect(await startIn(makeFolder(name), { args, env })).toEqual(first)
  })

  test('with the locale C, another mode of new files, called from elsewhere, and again in the same folder', async () => {
    const old = process.umask(0o077)
    try {
      const folder = makeFolder('$HOME')
      for (let i = 0; i < 2; i++)
        expect(await startIn(folder, { cwd: root, env: { LANG: 'C', LC_ALL: 'C' } })).toEqual(first)
    } finally {
      process.umask(old)
    }
  })

  test.each(['with spaces and ümläuts', 'a%20b'])('in a folder called %s', async (name) => {
    expect(await buildIn(makeFolder(name), { workers: 2 })).toEqual(first)
  })

  test('in whatever order the folder lists its files, and whatever else lies there', async () => {
    const folder = makeFolder('order', RECIPE, ['b', 'a', 'base'])
    for (let i = 0; i < 40; i++) writeFileSync(join(folder, `other-${i}.safetensors`), 'nothing that anyone asks for')
    renameSync(join(folder, 'a.safetensors'), join(folder, 'moved'))
    renameSync(join(folder, 'moved'), join(folder, 'a.safetensors'))
    expect(await buildIn(folder)).toEqual(first)
  })

  test.each([
    { chunk: 4096, block: 8192 },
    { chunk: 10_007, block: 65_536 },
    { chunk: 262_144, block: 131_072 },
  ])('in chunks of $chunk and blocks of $block', async (cutting) => {
    expect(await buildIn(makeFolder('cut'), { workers: 2, cutting })).toEqual(first)
  })
})

describe('the tensors are the same, though the header tells of another recipe,', () => {
  const reverse = <T>(record: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
    Object.fromEntries(Object.entries(record).reverse())

  test('in whatever order the recipe has its models, params, steps and outputs', async () => {
    const { models, params, steps, outputs } = RECIPE
    const recipe = {
      outputs: reverse(outputs),
      steps: reverse(steps),
      models: reverse(models),
      params: reverse(params),
      seed: RECIPE.seed,
      smelt: 1,
    }
    const written = await buildIn(makeFolder('reversed', recipe))
    expect(written.contents).toEqual(first.contents)
    expect(written.files).not.toEqual(first.files)
  })

  test('whatever else the recipe builds, and however outputs are sharded', async () => {
    const { noisy, ties } = RECIPE.outputs
    const recipe = {
      ...RECIPE,
      steps: { other: { op: 'merge.dare', a: 'b', b: 'base', drop: 0.5 }, ...RECIPE.steps },
      outputs: {
        other: { from: 'other', path: 'out/other.safetensors' },
        noisy: { ...noisy, shard_size: '100kB' },
        ties: { ...ties, shard_size: '5GB' },
      },
    }
    const { other, ...rest } = (await buildIn(makeFolder('more', recipe))).contents
    expect(other).toMatch(/^[0-9a-f]{64}$/)
    expect(rest).toEqual({ noisy: first.contents['noisy'], ties: first.contents['ties'] })
  })

  test('however the inputs are sharded', async () => {
    const folder = makeFolder('sharded', {
      ...RECIPE,
      models: { base: 'base', a: 'a/model.safetensors.index.json', b: 'b.safetensors' },
    })
    for (const name of ['base', 'a'] as const) {
      mkdirSync(join(folder, name))
      rmSync(join(folder, `${name}.safetensors`))
      const entries = Object.entries(MODELS[name])
      // Every other tensor, so that no order of the one file is left.
      const shards = [0, 1, 2].map(
        (k) => [`model-0000${k + 1}-of-00003.safetensors`, entries.filter((_, i) => i % 3 === 2 - k)] as const,
      )
      for (const [file, tensors] of shards) writeSafetensors(join(folder, name, file), Object.fromEntries(tensors))
      const weight_map = Object.fromEntries(
        shards.flatMap(([file, tensors]) => tensors.map(([tensor]) => [tensor, file])),
      )
      writeFileSync(join(folder, name, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map }))
    }
    expect((await buildIn(folder)).contents).toEqual(first.contents)
  })

  test('and are others with another seed: the comparison can fail', async () => {
    const { contents } = await buildIn(makeFolder('seed', { ...RECIPE, seed: 'other' }))
    expect(contents['mask']).toBe(first.contents['mask'])
    expect(contents['noisy']).not.toBe(first.contents['noisy'])
    expect(contents['ties']).not.toBe(first.contents['ties'])
  })
})
