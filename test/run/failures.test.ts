import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { exitCode } from '#src/base/diagnostic.js'
import type { Result } from '#src/base/result.js'
import type { RunEvent } from '#src/run/events.js'
import { prepare } from '#src/run/prepare.js'
import { run } from '#src/run/run.js'
import type { Built, RunOptions } from '#src/run/options.js'
import { createRunId } from '#src/safetensors/run-id.js'
import { temporaryName } from '#src/safetensors/temporary.js'
import { inFolder } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { writeHollow, writeSafetensors, type TensorValues } from '../support/write-safetensors.js'
import { buildIn, built, codesOf, filesIn } from './support.js'

const TENSORS: Record<string, TensorValues> = {
  head: { dtype: 'F32', shape: [64], values: 1 },
  tail: { dtype: 'F32', shape: [3, 100], values: 2 },
}
const RECIPE = {
  models: { a: 'a.safetensors', b: 'b.safetensors' },
  steps: { x: { op: 'merge.blend', a: 'a', b: 'b' } },
  outputs: { out: { from: 'x', path: 'out.safetensors' } },
}
const INPUTS = ['a.safetensors', 'b.safetensors', 'recipe.yaml']

/** A folder with two models and an output of an earlier time, which must outlive every failure. */
const withModels = (work: (folder: string) => Promise<void>): Promise<void> =>
  inFolder(async (folder) => {
    for (const name of ['a', 'b']) writeSafetensors(join(folder, `${name}.safetensors`), TENSORS)
    writeFileSync(join(folder, 'out.safetensors'), 'old')
    await work(folder)
  })
const expectUntouched = (folder: string): void => {
  expect(filesIn(folder)).toEqual([...INPUTS.slice(0, 2), 'out.safetensors', 'recipe.yaml'])
  expect(readFileSync(join(folder, 'out.safetensors'), 'utf8')).toBe('old')
}

/** Plans, lets something happen, and runs. */
const runAfter = async (
  folder: string,
  happen: () => void,
  options: Partial<RunOptions> = {},
): Promise<Result<Built>> => {
  writeFileSync(join(folder, 'recipe.yaml'), JSON.stringify({ smelt: 1, ...RECIPE }))
  const prepared = await prepare(join(folder, 'recipe.yaml'))
  if (prepared.type === 'failed') throw new Error(codesOf(prepared).join())
  happen()
  return run(prepared.value.plan, { workers: 1, device: 'cpu', start: inlineWorker, ...options })
}

describe('an input', () => {
  test('that was cut short since it was planned with stops the build, naming it', () =>
    withModels(async (folder) => {
      const path = join(folder, 'b.safetensors')
      const result = await runAfter(folder, () => truncateSync(path, readFileSync(path).length - 10))
      expect(codesOf(result)).toEqual(['read-past-end'])
      expect(result.diagnostics[0]!.at).toMatchObject({ type: 'file', path })
      expect(exitCode(result.diagnostics)).toBe(3)
      expectUntouched(folder)
    }))

  test('that is gone stops the build, naming it and no other', () =>
    withModels(async (folder) => {
      const path = join(folder, 'b.safetensors')
      const result = await runAfter(folder, () => rmSync(path))
      expect(codesOf(result)).toEqual(['io-failed'])
      expect(result.diagnostics[0]!.at).toMatchObject({ type: 'file', path })
      expect(filesIn(folder)).toEqual(['a.safetensors', 'out.safetensors', 'recipe.yaml'])
    }))

  test('that changes while it is read stops the build, although every byte could be read', () =>
    withModels(async (folder) => {
      const path = join(folder, 'b.safetensors')
      const result = await runAfter(folder, () => undefined, {
        listener: (e) => {
          if (e.type === 'units-finished') utimesSync(path, 1, 1)
        },
      })
      expect(codesOf(result)).toEqual(['input-changed'])
      expect(result.diagnostics[0]!.at).toMatchObject({ path })
      expectUntouched(folder)
    }))
})

describe('numbers that are none', () => {
  const put = (folder: string, value: number): void => {
    const values = new Array<number>(300).fill(1)
    values[217] = value
    writeSafetensors(join(folder, 'b.safetensors'), { ...TENSORS, tail: { dtype: 'F32', shape: [3, 100], values } })
  }

  test.each([NaN, Infinity])(
    'stop the build: %d, with the tensor, the element, the step and the output’s own path',
    (value) =>
      withModels(async (folder) => {
        put(folder, value)
        const result = await buildIn(folder, RECIPE)
        expect(codesOf(result)).toEqual(['non-finite'])
        const [problem] = result.diagnostics
        expect(problem!.message).toBe('step `x` produced NaN or infinity at element 217 of `tail`')
        expect(problem!.at).toEqual({ type: 'file', path: join(folder, 'out.safetensors'), tensor: 'tail' })
        expectUntouched(folder)
      }),
  )

  test('pass with a warning where nothing is computed', () =>
    withModels(async (folder) => {
      put(folder, NaN)
      const result = await buildIn(folder, {
        ...RECIPE,
        steps: {},
        outputs: { out: { from: 'b', path: 'out.safetensors' } },
      })
      expect([result.type, codesOf(result)]).toEqual(['ok', ['copied-non-finite']])
    }))

  test('pass where the output allows them', () =>
    withModels(async (folder) => {
      put(folder, NaN)
      await built(
        buildIn(folder, { ...RECIPE, outputs: { out: { from: 'x', path: 'out.safetensors', non_finite: 'allow' } } }),
      )
    }))

  test('cannot be ordered, which names the tensor and the step', () =>
    withModels(async (folder) => {
      put(folder, NaN)
      const steps = { x: { op: 'merge.ties', base: 'a', models: ['b'] } }
      const result = await buildIn(folder, {
        ...RECIPE,
        steps,
        outputs: { out: { from: 'x', path: 'out.safetensors', non_finite: 'allow' } },
      })
      expect(codesOf(result)).toEqual(['unordered'])
      expect(result.diagnostics[0]!.message).toContain('step `x` cannot sort the magnitudes of `tail`')
      expectUntouched(folder)
    }))

  test('cannot be ordered, which names the step that orders them and not another one of the same tensor', () =>
    withModels(async (folder) => {
      put(folder, NaN)
      writeSafetensors(join(folder, 'c.safetensors'), {
        ...TENSORS,
        tail: { dtype: 'F32', shape: [3, 100], values: 3 },
      })
      const result = await buildIn(folder, {
        models: { ...RECIPE.models, c: 'c.safetensors' },
        steps: {
          sound: { op: 'merge.ties', base: 'a', models: ['c'] },
          x: { op: 'merge.ties', base: 'a', models: ['b'] },
        },
        outputs: {
          sound: { from: 'sound', path: 'sound.safetensors' },
          out: { from: 'x', path: 'out.safetensors', non_finite: 'allow' },
        },
      })
      expect(codesOf(result)).toEqual(['unordered'])
      expect(result.diagnostics[0]!.message).toContain('step `x` cannot sort')
    }))
})

describe('a stop', () => {
  test('asked for before the start writes nothing', () =>
    withModels(async (folder) => {
      const result = await buildIn(folder, RECIPE, { signal: AbortSignal.abort() })
      expect(codesOf(result)).toEqual(['stopped'])
      expectUntouched(folder)
    }))

  test('asked for during the work ends it at the next chunk, and is told once', () =>
    withModels(async (folder) => {
      for (const name of ['a', 'b'])
        writeHollow(join(folder, `${name}.safetensors`), { large: { dtype: 'F16', shape: [64, 1 << 20] } })
      const stop = new AbortController()
      const events: RunEvent[] = []
      const result = await buildIn(folder, RECIPE, {
        signal: stop.signal,
        listener: (e) => {
          events.push(e)
          if (e.type === 'units-finished') stop.abort()
        },
      })
      expect(codesOf(result)).toEqual(['stopped'])
      expect(events.map((e) => e.type).filter((t) => t !== 'units-finished')).toEqual([
        'run-started',
        'work-planned',
        'run-failed',
      ])
      expect(events.length).toBeLessThan(6)
      expectUntouched(folder)
    }))

  test('asked for when all is computed still leaves the old files', () =>
    withModels(async (folder) => {
      const stop = new AbortController()
      const listener = (e: RunEvent): void => {
        if (e.type === 'units-finished') stop.abort()
      }
      expect(codesOf(await buildIn(folder, RECIPE, { signal: stop.signal, listener }))).toEqual(['stopped'])
      expectUntouched(folder)
    }))

  test('asked for after the end changes nothing', () =>
    withModels(async (folder) => {
      const stop = new AbortController()
      const done = await built(buildIn(folder, RECIPE, { signal: stop.signal }))
      stop.abort()
      expect(readFileSync(join(folder, 'out.safetensors')).length).toBe(done.outputs[0]!.bytes)
    }))
})

describe('an output', () => {
  test('gets its folder', () =>
    withModels(async (folder) => {
      await built(buildIn(folder, { ...RECIPE, outputs: { out: { from: 'x', path: 'deep/er/out.safetensors' } } }))
      expect(existsSync(join(folder, 'deep/er/out.safetensors'))).toBe(true)
    }))

  test('that is a folder is refused before anything is computed, and the other outputs are not written', () =>
    withModels(async (folder) => {
      mkdirSync(join(folder, 'taken.safetensors'))
      const result = await buildIn(folder, {
        ...RECIPE,
        outputs: { ...RECIPE.outputs, two: { from: 'a', path: 'taken.safetensors' } },
      })
      expect(codesOf(result)).toEqual(['output-is-folder'])
      expect(exitCode(result.diagnostics)).toBe(1)
      expect(readFileSync(join(folder, 'out.safetensors'), 'utf8')).toBe('old')
      expect(filesIn(folder).filter((f) => f.endsWith('.partial'))).toEqual([])
    }))

  test('that becomes a folder meanwhile fails without leaving a temporary', () =>
    withModels(async (folder) => {
      rmSync(join(folder, 'out.safetensors'))
      const result = await runAfter(folder, () => undefined, {
        listener: (e) => {
          if (e.type === 'units-finished') mkdirSync(join(folder, 'out.safetensors', 'full'), { recursive: true })
        },
      })
      expect(codesOf(result)).toEqual(['not-a-place'])
      expect(result.diagnostics[0]!.message).toContain(join(folder, 'out.safetensors'))
      expect(filesIn(folder).filter((f) => f.endsWith('.partial'))).toEqual([])
    }))

  test('that the disk has no room for is refused before anything is computed', () =>
    withModels(async (folder) => {
      for (const name of ['a', 'b'])
        writeHollow(join(folder, `${name}.safetensors`), { vast: { dtype: 'F16', shape: [1 << 20, 3 << 20] } })
      const result = await buildIn(folder, RECIPE)
      expect(codesOf(result)).toEqual(['disk-too-small'])
      expect(exitCode(result.diagnostics)).toBe(75)
      expectUntouched(folder)
    }))

  test('that is a link to an input is refused', () =>
    withModels(async (folder) => {
      rmSync(join(folder, 'out.safetensors'))
      linkSync(join(folder, 'a.safetensors'), join(folder, 'out.safetensors'))
      expect(codesOf(await buildIn(folder, RECIPE))).toEqual(['output-is-input'])
    }))

  test('takes the place of the old file only when it is whole, and both of two or none', () =>
    withModels(async (folder) => {
      const seen: string[] = []
      await built(
        buildIn(
          folder,
          { ...RECIPE, outputs: { ...RECIPE.outputs, two: { from: 'a', path: 'two.safetensors' } } },
          {
            listener: (e) => {
              if (e.type === 'units-finished')
                seen.push(
                  readFileSync(join(folder, 'out.safetensors'), 'utf8'),
                  String(existsSync(join(folder, 'two.safetensors'))),
                )
            },
          },
        ),
      )
      expect(new Set(seen)).toEqual(new Set(['old', 'false']))
      expect(filesIn(folder)).toEqual([
        'a.safetensors',
        'b.safetensors',
        'out.safetensors',
        'recipe.lock.json',
        'recipe.yaml',
        'two.safetensors',
      ])
    }))
})

test('a build removes what dead builds left of its outputs, indexes too, and nothing else', () =>
  withModels(async (folder) => {
    const [host, boot, , , random] = createRunId().split('-')
    const dead = [host, boot, 999_999_999, 1, random].join('-') as ReturnType<typeof createRunId>
    const alive = createRunId()
    const outputs = { out: { from: 'x', path: 'out.safetensors', shard_size: '1GB' } }
    const names = ['out-00001-of-00001.safetensors', 'out.safetensors.index.json']
    for (const name of [...names, 'another.safetensors']) writeFileSync(join(folder, temporaryName(name, dead)), 'left')
    writeFileSync(join(folder, temporaryName(names[0]!, alive)), 'mine')
    await built(buildIn(folder, { ...RECIPE, outputs }))
    expect(
      filesIn(folder)
        .filter((f) => f.endsWith('.partial'))
        .sort(),
    ).toEqual([temporaryName('another.safetensors', dead), temporaryName(names[0]!, alive)].sort())
  }))

test('failed builds leave no file open', () =>
  withModels(async (folder) => {
    const open = (): number => readdirSync('/proc/self/fd').length
    const fail = async (): Promise<void> => {
      const path = join(folder, 'b.safetensors')
      writeSafetensors(path, TENSORS)
      expect((await runAfter(folder, () => truncateSync(path, 200))).type).toBe('failed')
      writeSafetensors(path, TENSORS)
      expect((await buildIn(folder, RECIPE, { signal: AbortSignal.abort() })).type).toBe('failed')
      expect(
        (await buildIn(folder, { ...RECIPE, outputs: { ...RECIPE.outputs, two: { from: 'a', path: '.' } } })).type,
      ).toBe('failed')
    }
    await fail()
    const before = open()
    for (let i = 0; i < 5; i++) await fail()
    expect(open()).toBe(before)
  }))
