import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RunEvent } from '#src/run/events.js'
import { inFolder } from '../support/build-run.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { buildIn, built, dataOf } from './support.js'

test('a build tells its start, its progress, each output and its end, and reads as many bytes as were planned', () =>
  inFolder(async (folder) => {
    const tensors = {
      large: { dtype: 'F16', shape: [3, 500_000], values: 1 },
      small: { dtype: 'F32', shape: [2, 2], values: [1, 2, 3, 4] },
      count: { dtype: 'I64', shape: [1], values: [7] },
    } as const
    for (const name of ['a', 'b']) writeSafetensors(join(folder, `${name}.safetensors`), tensors)
    const events: RunEvent[] = []
    const done = await built(
      buildIn(
        folder,
        {
          name: 'telling',
          models: { a: 'a.safetensors', b: 'b.safetensors' },
          steps: { x: { op: 'merge.blend', a: 'a', b: 'b', method: 'slerp' } },
          outputs: {
            one: { from: 'x', path: 'one.safetensors' },
            two: { from: 'x', path: 'two.safetensors', dtype: 'f32', shard_size: '5MB' },
          },
        },
        { listener: (event) => events.push(event) },
      ),
    )

    const progress = events.filter((e) => e.type === 'units-finished')
    const [started] = events
    if (started?.type !== 'run-started') throw new Error('no start')
    expect(started).toMatchObject({ recipe: 'telling', device: 'cpu', workers: 1, jobs: 3 })
    expect(
      events
        .map((e) => e.type)
        .filter((type) => !['units-finished', 'work-planned', 'memory-measured', 'tensor-finished'].includes(type)),
    ).toEqual(['run-started', 'output-written', 'output-written', 'lock-written', 'run-finished'])
    expect(progress.map((e) => e.readBytes)).toEqual(progress.map((e) => e.readBytes).toSorted((x, y) => x - y))
    expect(progress.at(-1)).toMatchObject({ readBytes: started.readBytes, writtenBytes: done.writtenBytes })
    expect(done).toMatchObject({ readBytes: started.readBytes })
    expect(done.writtenBytes).toBe(done.outputs.flatMap((o) => o.paths).reduce((n, path) => n + dataOf(path).length, 0))
    expect(events.filter((e) => e.type === 'output-written')).toMatchObject([
      { name: 'one', files: 1, tensors: 3 },
      { name: 'two', files: 3, tensors: 3 },
    ])
    const finished = events.filter((e) => e.type === 'tensor-finished')
    expect(finished.length).toBe(done.outputs.length * 3)
    expect(new Set(finished.map((e) => `${e.tensor} ${e.how} ${e.steps.join()}`))).toEqual(
      new Set(['large computed x', 'small computed x', 'count copied ']),
    )
    expect(finished.every((e) => e.seconds > 0)).toBe(true)
    expect(finished.reduce((n, e) => n + e.bytes, 0)).toBe(done.writtenBytes)
    expect(events.find((e) => e.type === 'lock-written')).toEqual({
      type: 'lock-written',
      path: 'recipe.lock.json',
      changed: true,
      changes: ['new'],
    })
  }))
