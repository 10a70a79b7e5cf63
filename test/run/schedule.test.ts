import { noTime } from '#src/run/stopwatch.js'
import { describe, expect, test } from 'vitest'
import { SEGMENT, tensorDigest } from '#src/base/digest.js'
import { createGraph } from '#src/graph/graph.js'
import { toPairs } from '#src/kernels/reference.js'
import { createSchedule, type Schedule } from '#src/run/schedule.js'
import type { Found, ScalarInputOrder, TakeOrder, UnitOrder, UnitResult } from '#src/run/unit.js'
import { planOf, type Outline, type Paper } from '../plan/support.js'

const paper = (step: object, outline: Outline): Paper => ({
  models: { a: outline, b: outline },
  steps: { x: step },
  outputs: { out: { from: 'x', path: 'out.safetensors' } },
})
const ONE: Outline = { w: ['F32', [2, 2]] }
const TIES = { op: 'merge.ties', base: 'a', models: [{ model: 'b', density: 0.5 }] }

const drain = (schedule: Schedule): UnitOrder[] => {
  const units: UnitOrder[] = []
  for (let unit = schedule.next(); unit !== undefined; unit = schedule.next()) units.push(unit)
  return units
}

const takesOf = (unit: UnitOrder): readonly TakeOrder[] => (unit.type === 'compute' ? unit.takes : [])
const uniformsOf = (unit: UnitOrder): readonly ScalarInputOrder[] => (unit.type === 'compute' ? unit.uniforms : [])

const bits = (x: number): number => new Uint32Array(Float32Array.of(Math.abs(x)).buffer)[0]!
const count = (bins: readonly number[]): Uint32Array<ArrayBuffer> => {
  const dense = new Uint32Array(65536)
  for (const bin of bins) dense[bin]! += 1
  return toPairs(dense) as Uint32Array<ArrayBuffer>
}

/** What a worker would find among these magnitudes. */
const findIn =
  (magnitudes: readonly number[]) =>
  (take: TakeOrder): Found => {
    switch (take.stage) {
      case 'high':
        return { type: 'all', high: count(magnitudes.map((x) => bits(x) >>> 15)), low: undefined }
      case 'low':
        return count(magnitudes.filter((x) => bits(x) >>> 15 === take.bin).map((x) => bits(x) & 0x7fff))
      case 'locate':
        return magnitudes.flatMap((x, i) => (bits(x) === take.bits ? [i] : []))[take.nth - 1]!
      default:
        return magnitudes.reduce((sum, x) => sum + x, 0)
    }
  }

const resultOf = (unit: UnitOrder, find: (take: TakeOrder) => Found = () => 0): UnitResult => ({
  id: unit.id,
  found: takesOf(unit).map(find),
  readDigests: unit.reads.map((r) => (r.digest ? new Uint8Array(32).fill(1) : undefined)),
  writeDigests: unit.writes.map(() => new Uint8Array(32).fill(2)),
  bytesRead: 0,
  bytesWritten: 0,
  spent: noTime(),
})

describe('a pass', () => {
  test('that needs a measure waits until all of it has come', () => {
    const schedule = createSchedule(
      planOf(paper({ op: 'merge.blend', a: 'a', b: 'b', method: 'slerp' }, { w: ['F32', [3, SEGMENT]] })),
    )
    const sums = drain(schedule)
    expect(sums.map((u) => [u.start, u.end, takesOf(u).map((t) => t.stage)])).toEqual(
      [0, 1, 2].map((i) => [i * SEGMENT, (i + 1) * SEGMENT, ['dot', 'dot', 'dot']]),
    )
    for (const unit of sums.slice(1)) expect(schedule.finish(resultOf(unit, () => 1))).toBeUndefined()
    expect(schedule.next()).toBeUndefined()
    expect(schedule.finished).toBe(false)
    schedule.finish(resultOf(sums[0]!, () => 1))
    const writes = drain(schedule)
    expect(writes.map((u) => u.writes.length)).toEqual([1, 1, 1])
    // Both models have norm √3 and the dot product 3: they point the same way.
    expect(writes.every((u) => uniformsOf(u).every(({ value }) => Number.isFinite(value)))).toBe(true)
    writes.forEach((u) => schedule.finish(resultOf(u)))
    expect(schedule.finished).toBe(true)
  })

  test('that looks for low bits is told where to look', () => {
    const schedule = createSchedule(planOf(paper(TIES, ONE)))
    const [high] = drain(schedule)
    expect(takesOf(high!).map((t) => t.stage)).toEqual(['high'])
    schedule.finish(resultOf(high!, findIn([1, 2, 3, 4])))
    expect(drain(schedule).map(takesOf)).toEqual([[{ stage: 'low', ports: [0], bin: bits(3) >>> 15 }]])
  })
})

test('a measure that nobody has taken is no number, unless there is nothing to measure', () => {
  const schedule = createSchedule(planOf(paper(TIES, ONE)))
  const graph = createGraph()
  const read = (size: number) =>
    graph.read({ name: 'w', dtype: 'F32', shape: [size], file: 'f', begin: 0, end: 4 * size })
  expect([schedule.valueOf(graph.sum(read(0))), schedule.valueOf(graph.least(read(0)))]).toEqual([0, Infinity])
  expect(() =>
    schedule.valueOf(graph.sum(graph.read({ name: 'v', dtype: 'F32', shape: [2], file: 'f', begin: 0, end: 8 }))),
  ).toThrow('a total over v is used and nobody took it')
  const cells = { by: 'place', rows: 1, columns: 2, gridRows: 1, gridColumns: 1 } as const
  expect(() =>
    schedule.cellsOf(
      graph.tally(graph.read({ name: 'u', dtype: 'F32', shape: [2], file: 'f', begin: 0, end: 8 }), cells),
    ),
  ).toThrow('a tally over u')
})

describe('a trim', () => {
  /** Does a whole schedule, by stages; the last unit is the one that writes. */
  const stagesOf = (
    magnitudes: readonly number[],
  ): { readonly stages: readonly string[]; readonly last: UnitOrder } => {
    const schedule = createSchedule(planOf(paper(TIES, ONE)))
    const stages: string[] = []
    let last: UnitOrder | undefined
    for (let unit = schedule.next(); unit !== undefined; unit = schedule.next()) {
      stages.push(
        takesOf(unit)
          .map((t) => t.stage)
          .join() || 'write',
      )
      schedule.finish(resultOf(unit, findIn(magnitudes)))
      last = unit
    }
    expect(schedule.finished).toBe(true)
    return { stages, last: last! }
  }

  test('needs no search where no equal magnitudes are cut', () => {
    const { stages, last } = stagesOf([1, 4, 3, 2])
    expect(stages).toEqual(['high', 'low', 'write'])
    expect(uniformsOf(last)).toContainEqual({ value: 3 })
  })

  test('searches for the element where equal magnitudes are cut, and asks for more beyond it', () => {
    const { stages, last } = stagesOf([3, 4, 3, 3])
    expect(stages).toEqual(['high', 'low', 'locate', 'write'])
    const cut = uniformsOf(last).find((u) => u.cut !== undefined)!
    expect(cut.value).toBe(3)
    expect(cut.cut!.at).toBe(1)
    expect(cut.cut!.after).toBeGreaterThan(3)
    expect(Math.fround(cut.cut!.after - 2 ** -22)).toBe(3)
  })

  test('of magnitudes that are no numbers names the tensor and the step', () => {
    const schedule = createSchedule(planOf(paper(TIES, ONE)))
    expect(schedule.finish(resultOf(schedule.next()!, findIn([1, NaN, 2, 3])))).toMatchObject({
      nonFinite: { tensor: 'w' },
      step: 'x',
    })
  })

  test('of a tensor that no output holds names the step that orders it', () => {
    const plan = planOf({
      models: { a: { v: ['F32', [4]], w: ['F32', [4]] }, b: { v: ['F32', [4]], w: ['F32', [4]] } },
      steps: { whole: { ...TIES, scope: 'model' }, part: { op: 'model.select', model: 'whole', layers: 'v' } },
      outputs: { out: { from: 'part', path: 'out.safetensors' } },
    })
    const schedule = createSchedule(plan)
    const found = drain(schedule).map((u) =>
      schedule.finish(resultOf(u, findIn(u.reads[0]!.tensor === 'w' ? [Infinity, 1, 1, 1] : [1, 1, 1, 1]))),
    )
    expect(found).toContainEqual(
      expect.objectContaining({ nonFinite: expect.objectContaining({ tensor: 'w' }), step: 'whole' }),
    )
  })
})

describe('digests', () => {
  test('are asked for once for each segment that is read, and kept for all that is read and written', () => {
    const schedule = createSchedule(
      planOf(
        paper(
          { op: 'merge.blend', a: 'a', b: 'b', method: 'slerp' },
          { w: ['F16', [2, SEGMENT - 1]], v: ['F16', [3]] },
        ),
      ),
    )
    const asked: string[] = []
    for (let unit = schedule.next(); unit !== undefined; unit = schedule.next()) {
      asked.push(...unit.reads.filter((r) => r.digest).map((r) => `${r.path} ${r.tensor} ${unit!.start}`))
      schedule.finish(resultOf(unit))
    }
    expect(asked.sort()).toEqual(
      ['a', 'b'].flatMap((m) => [
        `/models/${m}.safetensors v 0`,
        `/models/${m}.safetensors w 0`,
        `/models/${m}.safetensors w ${SEGMENT}`,
      ]),
    )
    const [read, written] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
    for (const model of ['a', 'b']) {
      expect(schedule.ledger.digest(`/models/${model}.safetensors`, 'v')).toBe(tensorDigest([read]))
      expect(schedule.ledger.digest(`/models/${model}.safetensors`, 'w')).toBe(tensorDigest([read, read]))
    }
    expect(schedule.ledger.digest('/recipes/out.safetensors', 'v')).toBe(tensorDigest([written]))
    expect(schedule.ledger.digest('/recipes/out.safetensors', 'w')).toBe(tensorDigest([written, written]))
    expect(schedule.ledger.takeFinished().length).toBe(6)
    expect(schedule.ledger.takeFinished()).toEqual([])
  })

  test('of copies are taken too', () => {
    const schedule = createSchedule(
      planOf({ models: { a: ONE }, outputs: { out: { from: 'a', path: 'out.safetensors' } } }),
    )
    const [unit, ...more] = drain(schedule)
    expect(more).toEqual([])
    expect(unit).toMatchObject({
      type: 'copy',
      start: 0,
      end: 4,
      reads: [{ digest: true }],
      writes: [{ path: '/recipes/out.safetensors' }],
    })
    schedule.finish(resultOf(unit!))
    expect(schedule.ledger.digest('/recipes/out.safetensors', 'w')).toBe(tensorDigest([new Uint8Array(32).fill(2)]))
    expect(schedule.finished).toBe(true)
  })
})

test('later passes of tensors that were begun come before tensors that were not', () => {
  const outline: Outline = Object.fromEntries(['u', 'v', 'w'].map((name) => [name, ['F32', [2, 2]] as const]))
  const schedule = createSchedule(planOf(paper({ op: 'merge.blend', a: 'a', b: 'b', method: 'slerp' }, outline)))
  const order: string[] = []
  for (let unit = schedule.next(); unit !== undefined; unit = schedule.next()) {
    order.push(`${unit.reads[0]!.tensor} ${unit.writes.length > 0 ? 'write' : 'measure'}`)
    schedule.finish(resultOf(unit))
  }
  expect(order).toEqual(['u measure', 'u write', 'v measure', 'v write', 'w measure', 'w write'])
})

describe('whether a pass can start is asked', () => {
  const many = (n: number): Outline =>
    Object.fromEntries(
      Array.from({ length: n }, (_, i) => [`w${String(i).padStart(5, '0')}`, ['F32', [2, 2]] as const]),
    )
  /**
   * Does a whole schedule as sixteen workers would, each with tasks at hand; gives how often it was asked for each
   * unit.
   */
  const askedFor = (steps: object, n: number): number => {
    const schedule = createSchedule(planOf(paper(steps, many(n))))
    const issued: UnitOrder[] = []
    let units = 0
    for (;;) {
      for (let unit = schedule.next(); unit !== undefined; unit = issued.length < 2048 ? schedule.next() : undefined)
        issued.push(unit)
      const unit = issued.shift()
      if (unit === undefined) break
      units += 1
      schedule.finish(resultOf(unit, findIn([1, 2, 3, 4])))
    }
    expect(schedule.finished).toBe(true)
    return schedule.looked / units
  }

  test.each([
    ['TIES over the whole model', { ...TIES, scope: 'model' }],
    ['TIES of each tensor', TIES],
    ['a slerp', { op: 'merge.blend', a: 'a', b: 'b', method: 'slerp' }],
  ])('a few times for each unit, of %s, however many wait', (_, step) => {
    expect(askedFor(step, 500)).toBeLessThan(4)
    expect(askedFor(step, 2000)).toBeLessThan(4)
  })
})
