import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SEGMENT } from '#src/base/digest.js'
import { groupKey } from '#src/graph/groups.js'
import { encode } from '#src/kernels/convert.js'
import { createLedger } from '#src/run/digest-ledger.js'
import { prepare } from '#src/run/prepare.js'
import { createSchedule } from '#src/run/schedule.js'
import type { UnitOrder } from '#src/run/unit.js'
import type { WorkerAnswer } from '#src/run/worker.js'
import { layoutFile } from '#src/safetensors/layout.js'
import { inFolder } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'

const LARGE = 3 * SEGMENT + 4321
const RECIPE = {
  smelt: 1,
  models: { base: 'base.safetensors', a: 'a.safetensors', b: 'b.safetensors', left: 'left.safetensors' },
  steps: {
    ties: { op: 'merge.ties', base: 'base', models: [{ model: 'a', density: 0.2 }, 'b'] },
    slerp: { op: 'merge.blend', a: 'a', b: 'b', method: 'slerp' },
  },
  outputs: {
    ties: { from: 'ties', path: 'ties.safetensors' },
    slerp: { from: 'slerp', path: 'slerp.safetensors', dtype: 'bf16' },
    copy: { from: 'a', path: 'copy.safetensors' },
  },
}

/** Writes a model with few different numbers, so that magnitudes are often equal. */
const writeModel = (path: string, seed: number): void => {
  const tensors = [
    { name: 'large', dtype: 'F16', shape: [LARGE] },
    { name: 'small', dtype: 'F16', shape: [100] },
  ] as const
  const layout = layoutFile(tensors, {})
  const bytes = new Uint8Array(layout.bytes)
  bytes.set(layout.header)
  let state = seed
  for (const { name, shape } of tensors) {
    const values = Float32Array.from({ length: shape[0] }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return ((state >>> 16) % 999) / 999 - 0.5
    })
    bytes.set(new Uint8Array(encode('F16', values).buffer), layout.offsets.get(name)!.begin)
  }
  writeFileSync(path, bytes)
}

/** Does a plan with units of at most so many segments. */
const runBy = async (folder: string, most: number) => {
  const prepared = await prepare(join(folder, 'recipe.yaml'))
  if (prepared.type === 'failed') throw new Error(prepared.diagnostics.map((d) => d.message).join('\n'))
  const { plan } = prepared.value
  const files = plan.outputs.flatMap((o) => o.files)
  for (const { path, bytes } of files) writeFileSync(path, new Uint8Array(bytes))
  const schedule = createSchedule(plan)
  const hand = inlineWorker({
    engine: { type: 'compiled', programs: plan.programs, chunk: 8192 },
    temporary: new Map(files.map(({ path }) => [path, path])),
    cutting: { chunk: 8192, block: 65536 },
    stop: new Int32Array(1),
  })
  let answered: (answer: WorkerAnswer) => void = () => undefined
  hand.onAnswer((answer) => answered(answer))
  const units: UnitOrder[] = []
  let bytesRead = 0
  for (let unit = schedule.next(most); unit !== undefined; unit = schedule.next(most)) {
    units.push(unit)
    const answer = await new Promise<WorkerAnswer>((resolve) => {
      answered = resolve
      hand.send([unit!])
    })
    if (answer.type === 'failed') throw new Error(answer.diagnostics[0]!.message)
    bytesRead += answer.results[0]!.bytesRead
    expect(schedule.finish(answer.results[0]!)).toBeUndefined()
  }
  expect([schedule.finished, schedule.left <= 0]).toEqual([true, true])
  return {
    lengths: units.map((u) => Math.ceil((u.end - u.start) / SEGMENT)),
    found: {
      bytesRead,
      files: files.map(({ path }) => createHash('sha256').update(readFileSync(path)).digest('hex')),
      digests: schedule.ledger
        .all()
        .map((t) => `${t.path} ${t.tensor} ${t.digest}`)
        .sort(),
      outcomes: [...schedule.outcomes()].map(([m, outcome]) => `${groupKey(m)} ${JSON.stringify(outcome)}`).sort(),
    },
  }
}

test('units of several segments write and find what units of one do', () =>
  inFolder(async (folder) => {
    for (const [i, name] of ['base', 'a', 'b', 'left'].entries()) writeModel(join(folder, `${name}.safetensors`), i + 1)
    writeFileSync(join(folder, 'recipe.yaml'), JSON.stringify(RECIPE))
    const one = await runBy(folder, 1)
    expect(Math.max(...one.lengths)).toBe(1)
    for (const most of [2, 8]) {
      const several = await runBy(folder, most)
      expect(Math.max(...several.lengths)).toBe(Math.min(most, 4))
      expect(several.found).toEqual(one.found)
    }
  }))

describe('a ledger', () => {
  const digests = (n: number): Uint8Array => Uint8Array.from({ length: 32 * n }, (_, i) => Math.floor(i / 32) + 1)

  test('has each segment hashed by whoever claims it first, also where others claim some of the same', () => {
    const ledger = createLedger()
    expect(ledger.ask('f', 't', 4, 0, 2)).toBe(true)
    expect(ledger.ask('f', 't', 4, 0, 2)).toBe(false)
    expect(ledger.ask('f', 't', 4, 1, 2)).toBe(true)
    expect(ledger.ask('f', 't', 4, 3, 1)).toBe(true)
    expect(ledger.ask('f', 't', 4, 0, 4)).toBe(false)
    const all = digests(4)
    ledger.record('f', 't', 4, 3, all.subarray(96))
    ledger.record('f', 't', 4, 0, all.subarray(0, 64))
    expect(ledger.digest('f', 't')).toBeUndefined()
    ledger.record('f', 't', 4, 1, all.subarray(32, 96))
    const whole = createLedger()
    whole.record('f', 't', 4, 0, all)
    expect(ledger.digest('f', 't')).toBe(whole.digest('f', 't')!)
    expect(ledger.takeFinished().length).toBe(1)
    ledger.record('f', 't', 4, 0, all)
    expect(ledger.takeFinished().length).toBe(0)
    expect(ledger.ask('f', 't', 4, 0, 4)).toBe(false)
  })

  test('has a tensor of one segment hashed once', () => {
    const ledger = createLedger()
    expect([ledger.ask('f', 't', 1, 0, 1), ledger.ask('f', 't', 1, 0, 1)]).toEqual([true, false])
    expect([ledger.digest('f', 't'), ledger.all()]).toEqual([undefined, []])
    ledger.record('f', 't', 1, 0, digests(1))
    expect(ledger.all()).toEqual(ledger.takeFinished())
    expect(ledger.ask('f', 't', 1, 0, 1)).toBe(false)
  })
})
