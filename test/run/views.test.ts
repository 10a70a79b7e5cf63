import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Mask, Tensor } from '#src/graph/expression.js'
import { createGraph, type Graph } from '#src/graph/graph.js'
import { decode } from '#src/kernels/convert.js'
import { makeJobs, passesOf, plainCopy } from '#src/plan/jobs.js'
import { createMasks } from '#src/plan/masks.js'
import { ioFailed } from '#src/base/catalogue/io.js'
import { atOnce } from '#src/base/slices.js'
import { rangesOf, readRanges } from '#src/run/read-ranges.js'
import { createSchedule } from '#src/run/schedule.js'
import { openModel } from '#src/safetensors/model.js'
import type { Dtype } from '#src/tensor/dtype.js'
import { sizeOf } from '#src/tensor/info.js'
import { sliceOf, wholeOf, type View } from '#src/tensor/view.js'
import { inFolder } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { writeSafetensors } from '../support/write-safetensors.js'

/** Numbers of a matrix: each tells where it lies. */
const valueAt = (row: number, column: number): number => (row % 37) - 18 + (column % 16) / 16

interface Made {
  readonly values: readonly number[]
  readonly reads: readonly { readonly view: boolean; readonly digest: boolean }[]
  readonly bytesRead: number
}

/** Computes or copies one tensor of views of a stored matrix, with the engine as it is. */
const compute = (
  shape: readonly [number, number],
  dtype: 'F16' | 'F32',
  make: (g: Graph, whole: View) => { readonly value: Tensor | Mask; readonly size: number },
): Promise<Made> =>
  inFolder(async (folder) => {
    const values = Array.from({ length: shape[0] * shape[1] }, (_, i) =>
      valueAt(Math.floor(i / shape[1]), i % shape[1]),
    )
    writeSafetensors(join(folder, 'm.safetensors'), {
      pad: { dtype: 'F32', shape: [5], values: 1 },
      w: { dtype, shape, values },
    })
    const model = await openModel(join(folder, 'm.safetensors'))
    if (model.type === 'failed') throw new Error('no model')
    const graph = createGraph()
    const { value, size } = make(graph, wholeOf(model.value.tensors.get('w')!))
    const out = join(folder, 'out')
    const written: Dtype = value.kind === 'mask' ? 'BOOL' : dtype
    writeFileSync(out, new Uint8Array(size * 4))
    const target = {
      output: 0,
      tensor: 'out',
      path: out,
      begin: 0,
      elements: size,
      dtype: written,
      step: 's',
      allowNonFinite: false,
      value,
    }
    const { jobs } = atOnce(
      makeJobs([{ shape: [size], target }], [], graph, {
        copyOf: plainCopy,
        isKnown: () => false,
        masks: createMasks(new Map()),
        keep: () => ({ kept: [], files: [] }),
      }),
    )
    const programs = [...new Map(jobs.flatMap(passesOf).map((p) => [p.program.key, p.program] as const)).values()]
    const schedule = createSchedule({ jobs, programs, undigested: [], digestOf: () => undefined, outcomes: new Map() })
    const hand = inlineWorker({
      engine: { type: 'compiled', programs, chunk: 1000 },
      temporary: new Map([[out, out]]),
      cutting: { chunk: 1000, block: 65536 },
      stop: new Int32Array(1),
    })
    const reads: { view: boolean; digest: boolean }[] = []
    let bytesRead = 0
    for (let unit = schedule.next(); unit !== undefined; unit = schedule.next()) {
      reads.push(...unit.reads.map((r) => ({ view: r.selection !== undefined, digest: r.digest })))
      const answer = await new Promise<Parameters<Parameters<typeof hand.onAnswer>[0]>[0]>((resolve) => {
        hand.onAnswer(resolve)
        hand.send([unit])
      })
      if (answer.type === 'failed') throw new Error(answer.diagnostics[0]!.message)
      bytesRead += answer.results[0]!.bytesRead
      schedule.finish(answer.results[0]!)
    }
    const bytes = Uint8Array.from(readFileSync(out)).buffer
    if (written === 'BOOL') return { values: [...new Uint8Array(bytes, 0, size)], reads, bytesRead }
    return {
      values: [
        ...(dtype === 'F32' ? new Float32Array(bytes, 0, size) : decode('F16', new Uint16Array(bytes, 0, size))),
      ],
      reads,
      bytesRead,
    }
  })

const part = (
  rows: readonly [number, number],
  columns: readonly [number, number],
  value: (x: number) => number = (x) => x,
): number[] =>
  Array.from({ length: rows[1] * columns[1] }, (_, i) =>
    value(valueAt(rows[0] + Math.floor(i / columns[1]), columns[0] + (i % columns[1]))),
  )

const rowsOf = (v: View, first: number, count: number): View => sliceOf(v, 0, first, count)
const columnsOf = (v: View, first: number, count: number): View => sliceOf(v, 1, first, count)
const sized = (g: Graph, view: View) => ({ value: g.read(view), size: sizeOf(view.shape) })

describe.each(['F32', 'F16'] as const)('of a stored matrix of %s', (dtype) => {
  const width = dtype === 'F32' ? 4 : 2

  test('rows are copied', async () => {
    const made = await compute([40, 30], dtype, (g, w) => sized(g, rowsOf(w, 7, 20)))
    expect(made).toEqual({
      values: part([7, 20], [0, 30]),
      reads: [{ view: false, digest: false }],
      bytesRead: width * 600,
    })
  })

  test('columns are copied, block by block', async () => {
    const made = await compute([600, 500], dtype, (g, w) => sized(g, columnsOf(w, 33, 401)))
    expect(made.values).toEqual(part([0, 600], [33, 401]))
    expect(made.reads).toEqual([{ view: true, digest: false }])
    expect(made.bytesRead).toBe(width * 600 * 401)
  })

  test('columns far apart are read one by one', async () => {
    expect((await compute([6, 20_000], dtype, (g, w) => sized(g, columnsOf(w, 19_990, 3)))).values).toEqual(
      part([0, 6], [19_990, 3]),
    )
  })

  test('rows and columns for each other are read too', async () => {
    const made = await compute([9, 14], dtype, (g, w) => sized(g, { ...w, shape: [14, 9], strides: [1, 14] }))
    expect(made.values).toEqual(Array.from({ length: 126 }, (_, i) => valueAt(i % 9, Math.floor(i / 9))))
  })

  test('parts are computed with, beside each other and beside measures of them', async () => {
    const made = await compute([64, 48], dtype, (g, w) => {
      const [top, left] = [g.read(rowsOf(w, 0, 32)), g.read(columnsOf(w, 0, 24))]
      return { value: g.sub(g.add(top, left), g.sub(g.greatest(left), g.greatest(left))), size: 32 * 48 }
    })
    const [top, left] = [part([0, 32], [0, 48]), part([0, 64], [0, 24])]
    expect(made.values).toEqual(top.map((x, i) => x + left[i]!))
  })

  test('a part is compared', async () => {
    const made = await compute([8, 10], dtype, (g, w) => ({
      value: g.compare('greater', g.read(columnsOf(w, 2, 5)), -16),
      size: 40,
    }))
    expect(made.values).toEqual(part([0, 8], [2, 5], (x) => (x > -16 ? 1 : 0)))
  })

  test('all rows are all of it, and give its digest', async () => {
    expect((await compute([8, 10], dtype, (g, w) => sized(g, rowsOf(w, 0, 8)))).reads).toEqual([
      { view: false, digest: true },
    ])
  })
})

test('what cannot be read of a part is told', async () => {
  const view = columnsOf(wholeOf({ name: 'w', dtype: 'F32', shape: [4, 8], file: 'm', begin: 0, end: 128 }), 1, 3)
  const broken = ioFailed('m', 'read', 'broken')
  const io = {
    readSync: () => {
      throw Object.assign(new Error('broken'), { code: 'EIO' })
    },
    writeSync: () => 0,
  }
  expect(readRanges(0, rangesOf(view), 0, new Uint8Array(48), io)).toMatchObject({
    code: broken.code,
    at: { path: 'm' },
  })
})
