import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Plan } from '#src/plan/plan.js'
import { build, type BuildOptions } from '#src/run/build.js'
import { identityOf } from '#src/safetensors/open.js'
import { isSettled } from '#src/store/files.js'
import { openStore, type Store } from '#src/store/store.js'
import { inFolder } from '../support/build-run.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'
import { built, buildIn, codesOf, dataOf } from './support.js'

const SIZES: Readonly<Record<string, readonly number[]>> = { bias: [13], nothing: [0, 2], plain: [7, 9], wide: [9, 7] }
/** More than one segment, and no multiple of eight. */
const LARGE: Readonly<Record<string, readonly number[]>> = { ...SIZES, large: [(1 << 20) + 70_003] }

const random = (seed: number) => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}
/** Few distinct values, so that magnitudes tie. */
const tensors = (seed: number, shapes: typeof SIZES): Record<string, TensorValues> => {
  const next = random(seed)
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const n = shape.reduce((x, y) => x * y, 1)
      return [
        name,
        { dtype: 'F16', shape, values: Array.from({ length: n }, () => 1 + Math.round((next() - 0.5) * 60) / 64) },
      ]
    }),
  )
}
const NAMES = ['base', 'a', 'b'] as const
const small: Record<string, Record<string, TensorValues>> = {}
const large: Record<string, Record<string, TensorValues>> = {}
beforeAll(() =>
  NAMES.forEach((name, i) => {
    small[name] = tensors(i + 1, SIZES)
    large[name] = tensors(i + 1, LARGE)
  }),
)

const MODELS = { base: 'base.safetensors', a: 'a.safetensors', b: 'b.safetensors' }
const MOVED = { op: 'mask.magnitude', model: 'a', base: 'base', quantile: 0.8 }
const blend = (keep: unknown, mask: string) => ({ op: 'merge.blend', a: 'a', b: 'b', keep, mask })
const recipe = (keep: unknown, more: object = {}, moved: object = MOVED): object => ({
  models: MODELS,
  steps: { moved, merged: blend(keep, 'moved'), ...more },
  outputs: { out: { from: 'merged', path: 'out.safetensors' } },
})

interface Workbench {
  readonly folder: string
  readonly store: Store
  /** Builds with the store; gives the plan, what was told and the data of the outputs. */
  build(
    recipe: object,
    options?: BuildOptions,
  ): Promise<{ readonly plan: Plan; readonly told: readonly string[]; readonly data: Readonly<Record<string, string>> }>
  /** The data of the outputs, built from nothing and without a store. */
  judge(recipe: object, options?: BuildOptions): Promise<Readonly<Record<string, string>>>
  masks(): readonly string[]
}

const dataIn = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder)
      .filter((name) => name.endsWith('.safetensors'))
      .sort()
      .map((name) => [name, dataOf(join(folder, name)).toString('hex')]),
  )

/** A folder with models, and a store. */
const atBench = (
  files: Record<string, Record<string, TensorValues>>,
  work: (bench: Workbench) => Promise<void>,
  limit?: number,
): Promise<void> =>
  inFolder(async (folder) => {
    for (const name of NAMES) writeSafetensors(join(folder, `${name}.safetensors`), files[name]!)
    // The store remembers no file that was written at the moment it is read: only the clock of the file system can be
    // waited for.
    const last = identityOf(statSync(join(folder, 'b.safetensors'), { bigint: true }))
    while (!isSettled(last, Date.now())) await setTimeout(5)
    const store = openStore(join(folder, 'store'), limit)
    const masks = (): readonly string[] =>
      store
        .list()
        .filter((e) => e.kind === 'mask')
        .map((e) => join(folder, 'store', 'v1', e.path))
    await work({
      folder,
      store,
      masks,
      build: async (text, options = {}) => {
        mkdirSync(join(folder, 'out'), { recursive: true })
        let plan: Plan | undefined
        const result = await buildIn(folder, text, {
          store,
          out: join(folder, 'out'),
          ...options,
          planned: (p, device) => {
            plan = p
            options.planned?.(p, device, [], undefined)
          },
        })
        await built(Promise.resolve(result))
        return { plan: plan!, told: codesOf(result), data: dataIn(join(folder, 'out')) }
      },
      judge: async (text, options = {}) => {
        const out = join(folder, 'judged')
        mkdirSync(out)
        await built(buildIn(folder, text, { ...options, out, lock: false }))
        const data = dataIn(out)
        rmSync(out, { recursive: true })
        return data
      },
    })
  })

const filesRead = (plan: Plan): readonly string[] =>
  [
    ...new Set(
      plan.jobs.flatMap((j) =>
        (j.sweeps?.passes ?? []).flatMap((p) =>
          p.reads.map(({ tensor }) => (tensor.packed === true ? 'bits' : tensor.file.replace(/^.*\//, ''))),
        ),
      ),
    ),
  ].sort()
const sweeps = (plan: Plan): number => Math.max(...plan.jobs.map((j) => j.sweeps?.passes.length ?? 0))
const keptIn = (plan: Plan): readonly string[] => plan.jobs.flatMap((j) => j.kept.map((k) => k.tensor)).sort()

describe('a mask that takes sweeps over models', () => {
  test('is read from the store when only what comes after it has changed', () =>
    atBench(small, async ({ build, judge, masks }) => {
      const first = await build(recipe(0.3))
      expect(sweeps(first.plan)).toBe(3)
      expect(keptIn(first.plan)).toEqual(['bias', 'plain', 'wide'])
      expect(first.plan.masks.taken).toEqual([])
      expect(first.data).toEqual(await judge(recipe(0.3)))
      expect(masks()).toHaveLength(1)
      const second = await build(recipe(0.6))
      expect(sweeps(second.plan)).toBe(1)
      expect(filesRead(second.plan)).toEqual(['a.safetensors', 'b.safetensors', 'bits'])
      // 139 elements of two models, and the bits of three tensors.
      expect(second.plan.totals.readBytes).toBe(139 * 4 + 2 + 8 + 8)
      expect(second.plan.totals.cached).toBe(0)
      expect([keptIn(second.plan), second.plan.masks.taken.length]).toEqual([[], 3])
      expect(second.data).toEqual(await judge(recipe(0.6)))
      expect(second.told).toEqual([])
      expect(masks()).toHaveLength(1)
    }))

  test('is made again when it is another, and both are kept', () =>
    atBench(small, async ({ build, judge, masks }) => {
      await build(recipe(0.3))
      const other = recipe(0.3, {}, { ...MOVED, select: 'below' })
      const second = await build(other)
      expect([sweeps(second.plan), second.plan.masks.taken.length, masks().length]).toEqual([1, 0, 2])
      expect(second.data).toEqual(await judge(other))
      expect((await build(recipe(0.4))).plan.masks.taken).toHaveLength(3)
    }))

  test('is made again when one of its models has changed', () =>
    atBench(small, async ({ folder, build, judge }) => {
      await build(recipe(0.3))
      writeSafetensors(join(folder, 'base.safetensors'), tensors(9, SIZES))
      const second = await build(recipe(0.3))
      expect(second.plan.masks.taken).toEqual([])
      expect(second.data).toEqual(await judge(recipe(0.3)))
    }))

  test('is kept with one threshold for the whole model too', () =>
    atBench(small, async ({ build, judge }) => {
      const whole = (keep: number): object => recipe(keep, {}, { ...MOVED, scope: 'model' })
      await build(whole(0.3))
      const second = await build(whole(0.6))
      expect([sweeps(second.plan), second.plan.masks.taken.length]).toEqual([1, 3])
      expect(second.data).toEqual(await judge(whole(0.6)))
    }))

  test('is kept once for several outputs, and written from its bits as an output itself', () =>
    atBench(small, async ({ build, judge, masks }) => {
      const two = (keep: number, mask: boolean): object => ({
        models: MODELS,
        steps: { moved: MOVED, x: blend(keep, 'moved'), y: blend(0.5, 'moved') },
        outputs: {
          x: { from: 'x', path: 'x.safetensors' },
          y: { from: 'y', path: 'y.safetensors' },
          ...(mask ? { mask: { from: 'moved', path: 'mask.safetensors' } } : {}),
        },
      })
      const first = await build(two(0.3, false))
      expect([keptIn(first.plan), masks().length]).toEqual([['bias', 'plain', 'wide'], 1])
      const second = await build(two(0.6, true))
      expect(filesRead(second.plan)).toEqual(['a.safetensors', 'b.safetensors', 'bits'])
      expect(second.data).toEqual(await judge(two(0.6, true)))
    }))

  test('is kept when it is nothing but an output', () =>
    atBench(small, async ({ build, judge, folder }) => {
      const mask: object = {
        models: MODELS,
        steps: { moved: MOVED },
        outputs: { out: { from: 'moved', path: 'out.safetensors' } },
      }
      await build(mask)
      rmSync(join(folder, 'out'), { recursive: true })
      const second = await build(mask)
      expect(filesRead(second.plan)).toEqual(['bits'])
      expect(second.data).toEqual(await judge(mask))
    }))

  test('is kept for every setting of the params that changes it, and once for those that do not', () =>
    atBench(small, async ({ build, judge, masks }) => {
      const swept: object = {
        params: { keep: 0.3, q: 0.8 },
        models: MODELS,
        steps: { moved: { ...MOVED, quantile: '$q' }, merged: blend('$keep', 'moved') },
        outputs: { out: { from: 'merged', path: 'out-${keep}-${q}.safetensors' } },
      }
      const set = { keep: '0.3,0.4', q: '0.7,0.8' }
      const first = await build(swept, { set })
      expect([keptIn(first.plan).length, masks().length]).toEqual([6, 2])
      expect(first.data).toEqual(await judge(swept, { set }))
      const second = await build(swept, { set: { keep: '0.5', q: '0.7,0.8' } })
      expect([filesRead(second.plan), second.plan.masks.taken.length]).toEqual([
        ['a.safetensors', 'b.safetensors', 'bits'],
        6,
      ])
      const { 'out-0.5-0.7.safetensors': low, 'out-0.5-0.8.safetensors': high } = second.data
      expect({ 'out-0.5-0.7.safetensors': low, 'out-0.5-0.8.safetensors': high }).toEqual(
        await judge(swept, { set: { keep: '0.5', q: '0.7,0.8' } }),
      )
    }))

  test('is taken where a measure needs it, and nothing that is only a set operation on it is kept', () =>
    atBench(small, async ({ build, judge, masks }) => {
      const steps = (keep: number): object => ({
        models: MODELS,
        steps: {
          moved: MOVED,
          rest: { op: 'mask.complement', mask: 'moved' },
          half: { op: 'mask.fill', like: 'a', p: 0.5 },
          both: { op: 'mask.union', masks: ['rest', 'half'] },
          scaled: { op: 'merge.dare', a: 'a', b: 'b', drop: 0.6, rescale: 'l1', keep, mask: 'both' },
        },
        outputs: { out: { from: 'scaled', path: 'out.safetensors' } },
      })
      await build(steps(0.3))
      expect(masks()).toHaveLength(1)
      const second = await build(steps(0.6))
      expect(filesRead(second.plan)).toEqual(['a.safetensors', 'b.safetensors', 'bits'])
      expect(second.plan.masks.taken).toHaveLength(3)
      expect(second.data).toEqual(await judge(steps(0.6)))
    }))

  test('is made again for the tensors that no build has kept, which then are', () =>
    atBench(small, async ({ build, judge, masks }) => {
      const only = (layers: string, keep: number): object =>
        recipe(keep, { merged: { ...blend(keep, 'moved'), layers } })
      expect(keptIn((await build(only('plain', 0.3))).plan)).toEqual(['plain'])
      const second = await build(only('**', 0.6))
      expect([keptIn(second.plan), second.plan.masks.taken.length, masks().length]).toEqual([['bias', 'wide'], 1, 2])
      expect(second.data).toEqual(await judge(only('**', 0.6)))
      expect((await build(recipe(0.7))).plan.masks.taken).toHaveLength(3)
    }))
})

describe('what is not kept', () => {
  const plain: readonly (readonly [string, object])[] = [
    ['a random mask', { op: 'mask.fill', like: 'a', p: 0.4 }],
    ['a mask without a measure', { op: 'mask.compare', a: 'a', b: 'b', base: 'base' }],
    ['a mask from a file', { op: 'mask.load', file: 'b' }],
  ]
  for (const [name, mask] of plain)
    test(name, () =>
      atBench(small, async ({ build, masks }) => {
        const { plan } = await build(recipe(0.3, {}, mask))
        expect([plan.masks, masks()]).toEqual([{ taken: [], files: [] }, []])
      }),
    )

  test('a mask that would take a quarter of the store, or with others half of it', () =>
    atBench(
      small,
      async ({ build }) => {
        const { plan } = await build({
          models: MODELS,
          steps: Object.fromEntries(
            [0.5, 0.6, 0.7, 0.8].flatMap((quantile, i) => [
              [`m${i}`, { ...MOVED, quantile }],
              [`s${i}`, { ...blend(0.3, `m${i}`), a: i === 0 ? 'a' : `s${i - 1}` }],
            ]),
          ),
          outputs: { out: { from: 's3', path: 'out.safetensors' } },
        })
        expect(plan.masks.files.map((f) => f.bytes)).toEqual([24, 24])
      },
      100,
    ))

  test('a mask larger than a quarter of the store', () =>
    atBench(
      small,
      async ({ build, masks }) => {
        const { plan } = await build(recipe(0.3))
        expect([plan.masks.files, masks()]).toEqual([[], []])
      },
      92,
    ))

  test('the same bits a second time', () =>
    atBench(small, async ({ build, masks }) => {
      await build(recipe(0.3))
      const before = masks()
      const again = await build(recipe(0.3), { force: true })
      expect(again.plan.masks.taken).toEqual([])
      expect(masks()).toEqual(before)
    }))

  test('a mask in a store that cannot be written', () =>
    atBench(small, async ({ folder, build, judge }) => {
      mkdirSync(join(folder, 'store', 'v1'), { recursive: true })
      writeFileSync(join(folder, 'store', 'v1', 'masks'), '')
      expect((await build(recipe(0.3))).data).toEqual(await judge(recipe(0.3)))
      expect(readFileSync(join(folder, 'store', 'v1', 'masks'), 'latin1')).toBe('')
    }))

  test('bits that could not be written, while the build goes on', () =>
    atBench(small, async ({ folder, store, build, judge, masks }) => {
      const breaking: Store = {
        ...store,
        masks: {
          ...store.masks,
          begin: (bytes) => {
            const file = store.masks.begin(bytes)
            file.discard()
            return file
          },
        },
      }
      expect((await build(recipe(0.3), { store: breaking })).data).toEqual(await judge(recipe(0.3)))
      expect([masks(), readdirSync(join(folder, 'store', 'v1', 'masks'))]).toEqual([[], []])
    }))

  test('anything of a build that fails', () =>
    atBench(small, async ({ folder, store, masks }) => {
      const bad = { ...small['b'], plain: { dtype: 'F16', shape: [7, 9], values: Infinity } } as Record<
        string,
        TensorValues
      >
      writeSafetensors(join(folder, 'b.safetensors'), bad)
      expect(codesOf(await buildIn(folder, recipe(0.3), { store }))).toEqual(['non-finite'])
      expect([masks(), readdirSync(join(folder, 'store', 'v1', 'masks'))]).toEqual([[], []])
    }))
})

/** Damages a file of bits in one way; 24 bytes of bits, then the record, its digest and its length. */
const RECORD = 24
const DAMAGE: Readonly<Record<string, readonly [(bytes: Buffer) => Buffer | undefined, 'retold' | 'unseen']>> = {
  'the first byte of bits flipped': [flip(0), 'retold'],
  'a byte of bits in the middle flipped': [flip(9), 'retold'],
  'the last byte of bits flipped': [flip(23), 'retold'],
  'two tensors of equal size swapped': [
    (b) => Buffer.concat([b.subarray(0, 8), b.subarray(16, 24), b.subarray(8, 16), b.subarray(RECORD)]),
    'retold',
  ],
  'the first byte of the record flipped': [flip(RECORD), 'unseen'],
  'a byte of the record flipped': [flip(RECORD + 100), 'unseen'],
  'its digest flipped': [flip(-40), 'unseen'],
  'its length flipped': [flip(-1), 'unseen'],
  'half of it gone': [(b) => b.subarray(0, b.length >> 1), 'unseen'],
  'its last byte gone': [(b) => b.subarray(0, -1), 'unseen'],
  'nothing in it': [() => Buffer.alloc(0), 'unseen'],
  'its bits shifted by a byte': [(b) => Buffer.concat([Buffer.alloc(1), b]), 'retold'],
  'a few bytes of bits missing': [(b) => b.subarray(5), 'retold'],
}
function flip(at: number): (bytes: Buffer) => Buffer {
  return (bytes) => {
    const copy = Buffer.from(bytes)
    const index = at < 0 ? bytes.length + at : at
    copy[index] = copy[index]! ^ 0x10
    return copy
  }
}

describe('bits that are not what they were never make a wrong model:', () => {
  let pristine: string
  for (const [name, [damage, kind]] of Object.entries(DAMAGE))
    test(name, () =>
      atBench(small, async ({ build, judge, masks }) => {
        await build(recipe(0.3))
        const [path = ''] = masks()
        pristine = readFileSync(path).toString('hex')
        writeFileSync(path, damage(Buffer.from(pristine, 'hex'))!)
        const second = await build(recipe(0.6))
        expect(second.data).toEqual(await judge(recipe(0.6)))
        expect(second.told).toEqual(kind === 'retold' ? ['reuse-broken'] : [])
        // The damaged file is gone, and a sound one has taken its place.
        expect(masks()).toHaveLength(1)
        expect(readFileSync(masks()[0]!).toString('hex')).toBe(pristine)
        expect((await build(recipe(0.7))).plan.masks.taken).toHaveLength(3)
      }),
    )

  test('evicted after the plan was made', () =>
    atBench(small, async ({ build, judge, masks }) => {
      await build(recipe(0.3))
      const second = await build(recipe(0.6), { planned: () => masks().forEach((path) => rmSync(path)) })
      expect(second.plan.masks.taken).toHaveLength(3)
      expect([second.data, second.told]).toEqual([await judge(recipe(0.6)), ['reuse-broken']])
      expect(masks()).toHaveLength(1)
    }))

  test('cut short after the plan was made', () =>
    atBench(small, async ({ build, judge, masks }) => {
      await build(recipe(0.3))
      const second = await build(recipe(0.6), { planned: () => masks().forEach((path) => truncateSync(path, 9)) })
      expect([second.data, second.told]).toEqual([await judge(recipe(0.6)), ['reuse-broken']])
    }))

  test('the files of two masks have changed places, which harms nothing', () =>
    atBench(small, async ({ folder, build, judge, masks }) => {
      const other = { ...MOVED, select: 'below' }
      await build(recipe(0.3))
      await build(recipe(0.3, {}, other))
      const [x = '', y = ''] = masks()
      renameSync(x, join(folder, 'aside'))
      renameSync(y, x)
      renameSync(join(folder, 'aside'), y)
      const second = await build(recipe(0.6))
      expect([second.data, second.told, second.plan.masks.taken.length]).toEqual([await judge(recipe(0.6)), [], 3])
      expect((await build(recipe(0.6, {}, other))).data).toEqual(await judge(recipe(0.6, {}, other)))
    }))
})

test('a mask that was used lately outlives one that was not', () =>
  atBench(small, async ({ build, store, masks }) => {
    await build(recipe(0.3))
    const [used = ''] = masks()
    await build(recipe(0.3, {}, { ...MOVED, quantile: 0.5 }))
    const [idle = ''] = masks().filter((path) => path !== used)
    const size = store.list().reduce((n, e) => n + e.bytes, 0)
    await build(recipe(0.6))
    const before = store.list().map((e) => e.path)
    expect(before.findIndex((p) => used.endsWith(p))).toBeGreaterThan(before.findIndex((p) => idle.endsWith(p)))
    store.collect(size - 300)
    expect(masks()).toEqual([used])
  }))

test('bits of a tensor of several segments give the same bytes whatever the number of workers and the size of chunks', () =>
  atBench(large, async ({ folder }) => {
    const CUTTINGS = [
      { workers: 1, cutting: { chunk: 65536, block: 131072 } },
      { workers: 2, cutting: { chunk: 10_007, block: 65536 } },
    ] as const
    const runs: BuildOptions[] = CUTTINGS.flatMap((writing, i) =>
      [writing, ...CUTTINGS].map((options) => ({ ...options, store: openStore(join(folder, `store${i}`)) })),
    )
    const several = (keep: number): object => ({
      models: MODELS,
      steps: {
        moved: MOVED,
        whole: { ...MOVED, quantile: 0.6, scope: 'model' },
        turned: { ...blend(keep, 'moved'), method: 'slerp' },
        dared: { op: 'merge.dare', a: 'a', b: 'b', drop: 0.6, rescale: 'l1', keep, mask: 'whole' },
        trimmed: {
          op: 'merge.ties',
          base: 'base',
          models: [{ model: 'a', density: 0.2 }, 'b'],
          lambda: keep,
          mask: 'moved',
        },
      },
      outputs: {
        x: { from: 'turned', path: 'x.safetensors', dtype: 'bf16' },
        y: { from: 'dared', path: 'y.safetensors', dtype: 'f8_e5m2' },
        z: { from: 'trimmed', path: 'z.safetensors', dtype: 'f32' },
        mask: { from: 'whole', path: 'mask.safetensors' },
      },
    })
    const found: number[] = []
    mkdirSync(join(folder, 'judged'))
    for (const options of runs) {
      writeFileSync(join(folder, 'recipe.yaml'), JSON.stringify({ smelt: 1, ...several(0.1 + found.length / 100) }))
      let taken = 0
      const one = await built(
        build(join(folder, 'recipe.yaml'), {
          ...options,
          planned: (plan) => {
            taken = plan.masks.taken.length
          },
        }),
      )
      const judged = await built(
        build(join(folder, 'recipe.yaml'), { workers: 1, lock: false, out: join(folder, 'judged') }),
      )
      expect(one.outputs.map((o) => o.digest)).toEqual(judged.outputs.map((o) => o.digest))
      found.push(taken)
    }
    expect(found).toEqual([0, 8, 8, 0, 8, 8])
  }))
