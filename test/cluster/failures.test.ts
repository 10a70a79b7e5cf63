import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { exitCode } from '#src/base/diagnostic.js'
import { commitRun, removeParts } from '#src/cluster/commit.js'
import { cancelRun, isCancelled, placesOf, readAlarm, readResult, type PartResult } from '#src/cluster/layout.js'
import { partsIn } from '#src/cluster/run-state.js'
import { workOn } from '#src/cluster/task.js'
import { inFolder } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { contentsOf, doPart, finish, laidOut, valueOf, writeProject } from './small-project.js'

const recipe = (keep: number, output: object = {}) => ({
  steps: { x: { op: 'merge.blend', a: 'a', b: 'b', keep } },
  outputs: { x: { from: 'x', path: 'out.safetensors', ...output } },
})
const RECIPE = recipe(0.3)

type Plain = Record<string, unknown>
const edit = (path: string, change: (value: Plain) => void): void => {
  const value = JSON.parse(readFileSync(path, 'utf8')) as Plain
  change(value)
  writeFileSync(path, JSON.stringify(value))
}
const codeOf = (done: Awaited<ReturnType<typeof commitRun | typeof workOn>>) => ({
  codes: done.diagnostics.map((d) => d.code),
  exit: exitCode(done.diagnostics),
})
/** A run whose parts are all done. */
const doneIn = async (folder: string, options = { parts: 3 }) => {
  const laid = await laidOut(writeProject(folder, RECIPE), options)
  for (let part = 0; part < partsIn(laid.plan); part++) valueOf(await doPart(laid.run, part))
  return laid
}
const partFiles = (folder: string): readonly string[] => readdirSync(folder).filter((name) => name.endsWith('.part'))
const resultOf = (run: string, part: number): PartResult => valueOf(readResult(run, part))!

describe('a task refuses', () => {
  test('a run that this machine does not see', () =>
    inFolder(async (folder) => {
      expect(codeOf(await doPart(join(folder, 'elsewhere'), 0))).toEqual({ codes: ['run-missing'], exit: 3 })
    }))

  test('a run of another version of smelt or Node.js, and so does the commit', () =>
    inFolder(async (folder) => {
      const { run } = await laidOut(writeProject(folder, RECIPE))
      for (const [key, value] of [
        ['smelt', '0.0.1'],
        ['node', 12],
      ] as const) {
        const kept = readFileSync(placesOf(run).plan)
        edit(placesOf(run).plan, (plan) => (plan[key] = value))
        expect(codeOf(await doPart(run, 0))).toEqual({ codes: ['run-version'], exit: 3 })
        expect(codeOf(await commitRun(run))).toEqual({ codes: ['run-version'], exit: 3 })
        writeFileSync(placesOf(run).plan, kept)
      }
    }))

  test('a part that there is not', () =>
    inFolder(async (folder) => {
      const { run } = await laidOut(writeProject(folder, RECIPE))
      expect(codeOf(await doPart(run, 99))).toEqual({ codes: ['part-unknown'], exit: 2 })
    }))

  test('an input that has changed since the run was planned', () =>
    inFolder(async (folder) => {
      const { run } = await laidOut(writeProject(folder, RECIPE))
      utimesSync(join(folder, 'a.safetensors'), 1, 1)
      expect(codeOf(await doPart(run, 0))).toEqual({ codes: ['run-input-differs'], exit: 3 })
      expect(partFiles(folder)).toEqual([])
    }))

  test('a cancelled run', () =>
    inFolder(async (folder) => {
      const { run, plan } = await laidOut(writeProject(folder, RECIPE))
      valueOf(await doPart(run, 0))
      expect(partFiles(folder)).toHaveLength(1)
      cancelRun(run)
      await removeParts(plan)
      expect(partFiles(folder)).toEqual([])
      expect(codeOf(await doPart(run, 1))).toEqual({ codes: ['run-cancelled'], exit: 3 })
      expect(codeOf(await commitRun(run))).toEqual({ codes: ['run-cancelled'], exit: 3 })
    }))

  test('a part whose results of an earlier stage cannot be seen, for now', () =>
    inFolder(async (folder) => {
      const models = [{ model: 'a', density: 0.3 }]
      const ties = { ...RECIPE, steps: { x: { op: 'merge.ties', base: 'base', models, scope: 'model' } } }
      const { run } = await laidOut(writeProject(folder, ties))
      expect(codeOf(await doPart(run, 1))).toEqual({ codes: ['run-stage-unseen'], exit: 75 })
    }))
})

describe('two attempts at a part', () => {
  /** Does a part while another attempt hands in its result, made of that of an earlier run. */
  const race = async (folder: string, change: (result: Plain) => void) => {
    const { run } = await laidOut(writeProject(folder, RECIPE))
    valueOf(await doPart(run, 0))
    const path = placesOf(run).result(0)
    const other = `${path}.other`
    renameSync(path, other)
    edit(other, change)
    const done = await workOn(run, 0, {
      workers: 1,
      start: inlineWorker,
      listen: () => (event) => {
        if (event.type === 'run-started') renameSync(other, path)
      },
    })
    return { run, done }
  }

  test('of which one is second leave the first one’s result, and no file of the second', () =>
    inFolder(async (folder) => {
      const { run, done } = await race(folder, () => undefined)
      expect(done.type).toBe('ok')
      expect(resultOf(run, 0).attempt).toBe(1)
      expect(partFiles(folder)).toEqual(resultOf(run, 0).files.map((f) => f.file.slice(folder.length + 1)))
    }))

  test('that come to different numbers are an alarm that stops the whole run', () =>
    inFolder(async (folder) => {
      const { run, done } = await race(folder, (result) => {
        const [first] = result['written'] as { digest: string }[]
        first!.digest = result['content'] = `blake3:${'0'.repeat(64)}`
      })
      expect(codeOf(done)).toEqual({ codes: ['run-alarm'], exit: 3 })
      expect(valueOf(readAlarm(run))).toMatchObject({ part: 0, attempts: [1, 2] })
      expect(codeOf(await doPart(run, 1))).toEqual({ codes: ['run-alarm'], exit: 3 })
      expect(codeOf(await commitRun(run))).toEqual({ codes: ['run-alarm'], exit: 3 })
      expect(existsSync(join(folder, 'out.safetensors'))).toBe(false)
    }))
})

describe('a commit', () => {
  test('of a run that is not done writes nothing, for now', () =>
    inFolder(async (folder) => {
      const { run } = await laidOut(writeProject(folder, RECIPE))
      valueOf(await doPart(run, 0))
      expect(codeOf(await commitRun(run))).toEqual({ codes: ['run-unfinished'], exit: 75 })
      expect(existsSync(join(folder, 'out.safetensors'))).toBe(false)
    }))

  test('that was killed when some files had their names is completed by the next', () =>
    inFolder(async (folder) => {
      const { run } = await doneIn(folder)
      valueOf(await commitRun(run))
      const whole = contentsOf(folder)
      unlinkSync(placesOf(run).committed)
      unlinkSync(join(folder, 'recipe.lock.json'))
      valueOf(await commitRun(run))
      expect(contentsOf(folder)).toEqual(whole)
    }))

  test('does not take an older file for one that it has named', () =>
    inFolder(async (folder) => {
      const laid = await laidOut(writeProject(folder, recipe(0.4)))
      valueOf(await finish(laid))
      const old = readFileSync(join(folder, 'out.safetensors'))
      const { run } = await doneIn(folder)
      for (const name of partFiles(folder)) unlinkSync(join(folder, name))
      expect(codeOf(await commitRun(run)).exit).toBe(3)
      expect(readFileSync(join(folder, 'out.safetensors')).equals(old)).toBe(true)
    }))

  test.each([
    ['that is copied', 1],
    ['that becomes the file', 0],
  ])('notices that a part %s is not what its task wrote', (_, which) =>
    inFolder(async (folder) => {
      const { run } = await doneIn(folder)
      // The part with most tensors becomes the file.
      const files = [0, 1, 2]
        .map((part) => resultOf(run, part))
        .sort((x, y) => y.written.length - x.written.length || x.part - y.part)
        .flatMap((r) => r.files)
      const { file } = files[which]!
      const bytes = readFileSync(file)
      const at = bytes.findLastIndex((byte) => byte !== 0)
      bytes[at] = bytes[at]! ^ 1
      writeFileSync(file, bytes)
      utimesSync(file, 1, statSync(file).mtimeMs / 1000 + 10)
      expect(codeOf(await commitRun(run))).toEqual({ codes: ['part-altered'], exit: 3 })
      expect(existsSync(join(folder, 'out.safetensors'))).toBe(false)
    }),
  )

  test('of a recipe that was edited meanwhile writes what it said before, and says so', () =>
    inFolder(async (folder) => {
      const { run } = await doneIn(folder)
      writeFileSync(join(folder, 'recipe.yaml'), 'something else')
      const committed = await commitRun(run)
      expect(codeOf(committed)).toEqual({ codes: ['run-recipe-changed'], exit: 0 })
      expect(existsSync(join(folder, 'out.safetensors'))).toBe(true)
    }))

  test('is an alarm if two parts found other numbers in one input', () =>
    inFolder(async (folder) => {
      const { run } = await doneIn(folder)
      const [{ path, tensor }] = resultOf(run, 0).read as [PartResult['read'][number]]
      edit(placesOf(run).result(1), (result) => {
        ;(result['read'] as object[]).push({ path, tensor, digest: `blake3:${'0'.repeat(64)}` })
      })
      expect(codeOf(await commitRun(run))).toEqual({ codes: ['run-alarm'], exit: 3 })
    }))
})

test('a run that was cancelled begins anew with the same command', () =>
  inFolder(async (folder) => {
    const path = writeProject(folder, RECIPE)
    const first = await laidOut(path)
    valueOf(await doPart(first.run, 0))
    cancelRun(first.run)
    const second = await laidOut(path)
    expect(second).toMatchObject({ run: first.run, isResumed: false })
    expect(isCancelled(second.run)).toBe(false)
    valueOf(await finish(second))
    expect(partFiles(folder)).toEqual([])
    rmSync(second.run, { recursive: true })
  }))
