import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Tensor } from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { exitCode } from '#src/base/diagnostic.js'
import type { BuildOptions } from '#src/run/build.js'
import { LEAST_CHUNK, type Device } from '#src/run/devices/device.js'
import { loadKernels } from '#src/kernels/kernels.js'
import type { Engine } from '#src/run/devices/engine.js'
import { createOnnxEngine, isOutOfMemory } from '#src/run/devices/onnx-engine.js'
import { PORT_TYPES } from '#src/run/port-types.js'
import type { Session } from '#src/run/sessions.js'
import type { WorkerStart } from '#src/run/worker.js'
import { inFolder } from '../../support/build-run.js'
import { writeSafetensors, type TensorValues } from '../../support/write-safetensors.js'
import { makeRandom } from '../../safetensors/files.js'
import { buildIn, built, codesOf, filesIn } from '../support.js'
import { deviceHand, sessionOf } from './device-hand.js'
import { pretend } from './pretend.js'

/** What ONNX Runtime said, word for word, when a device had no room left. */
const FULL = {
  'while a session is made':
    'Exception during initialization: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 262144',
  'while an input is copied':
    '/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 2048',
  'in an instruction':
    "Non-zero status code returned while running Gather node. Name:'' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 400128",
  'from CUDA':
    "Non-zero status code returned while running Add node. Name:'' Status Message: CUDA failure 2: out of memory ; GPU=0 ; hostname=vm ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_allocator.cc ; line=47 ; expr=cudaMalloc((void**)&p, size);",
  'from cuBLAS':
    'Exception during initialization: CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=vm ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=161 ; expr=cublasCreate(&cublas_handle_);',
} as const
const GONE =
  'Exception during initialization: /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:129 CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=vm ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=280 ; expr=cudaSetDevice(info_.device_id);'
const BROKEN =
  "Non-zero status code returned while running Where node. Name:'w1' Status Message: /onnxruntime_src/onnxruntime/core/framework/op_kernel.cc:83 something is not right"

/** A program that takes and gives nothing, and the frame of its run. */
const NOTHING = { key: '', inputs: [], outputs: [], instructions: [] }
const EMPTY = { inputs: [], scalars: [], outputs: [], length: 0 }

/** An engine whose sessions do what a test says, and what became of them. */
const makeEngine = (
  run: () => Promise<void>,
  {
    device = 'cuda:0',
    chunk = 1 << 17,
    opening = async () => undefined,
  }: { readonly device?: Device; readonly chunk?: number; readonly opening?: () => Promise<void> } = {},
) => {
  const events: string[] = []
  const options = { type: 'onnx', device, programs: [NOTHING, NOTHING], models: [], chunk } as const
  const engine = createOnnxEngine(options, loadKernels(), async (program) => {
    events.push(`open ${program}`)
    await opening()
    return { run, release: async () => void events.push(`release ${program}`) }
  })
  return { engine, events }
}
const fail = (message: string) => async (): Promise<never> => {
  throw new Error(message)
}

describe('an engine', () => {
  test.each(Object.entries(FULL))(
    'that runs out of memory %s gives all of it back, halves its chunks and can go on',
    async (_when, message) => {
      let full = false
      const { engine, events } = makeEngine(async () => {
        if (full) throw new Error(message)
      })
      expect(isOutOfMemory(message)).toBe(true)
      expect([await engine.run(0, EMPTY), await engine.run(1, EMPTY), engine.chunk]).toEqual(['done', 'done', 1 << 17])
      full = true
      expect([await engine.run(1, EMPTY), engine.chunk]).toEqual(['again', 1 << 16])
      expect(events.splice(0)).toEqual(['open 0', 'open 1', 'release 0', 'release 1'])
      full = false
      expect([await engine.run(1, EMPTY), engine.chunk]).toEqual(['done', 1 << 16])
      expect(events.splice(0)).toEqual(['open 1'])
      await engine.close()
      expect(events).toEqual(['release 1'])
    },
  )

  test('that finds no room for a session makes it again, for smaller chunks', async () => {
    let tries = 0
    const { engine, events } = makeEngine(async () => undefined, {
      opening: async () => {
        if (tries++ < 2) throw new Error(FULL['while a session is made'])
      },
    })
    expect([await engine.run(0, EMPTY), await engine.run(0, EMPTY), await engine.run(0, EMPTY), engine.chunk]).toEqual([
      'again',
      'again',
      'done',
      1 << 15,
    ])
    expect(events).toEqual(['open 0', 'open 0', 'open 0'])
  })

  test('gives up where chunks are as small as they get', async () => {
    const { engine } = makeEngine(fail(FULL['from CUDA']))
    const outcomes = [
      await engine.run(0, EMPTY),
      await engine.run(0, EMPTY),
      await engine.run(0, EMPTY),
      await engine.run(0, EMPTY),
    ]
    expect(outcomes.slice(0, 3)).toEqual(['again', 'again', 'again'])
    expect([outcomes[3], engine.chunk]).toEqual([
      expect.objectContaining({ code: 'device-out-of-memory' }),
      LEAST_CHUNK,
    ])
  })

  test.each([
    ['CUDA failure 100: no CUDA-capable device is detected', GONE],
    [
      "Non-zero status code returned while running Where node. Name:'w1' Status Message:  something is not right",
      BROKEN,
    ],
    [
      'CURAND failure 203: 203',
      'Exception during initialization: CURAND failure 203: 203 ; GPU=0 ; hostname=vm ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=170 ; expr=curandCreate()',
    ],
  ])('says what else went wrong, without the names of machines and places: %s', async (told, message) => {
    const { engine, events } = makeEngine(fail(message))
    expect(await engine.run(0, EMPTY)).toMatchObject({
      code: 'device-failed',
      message: `cuda:0 could not run a program: ${told}`,
    })
    expect([engine.chunk, events]).toEqual([1 << 17, ['open 0']])
  })

  test('names the processor as the way to the same bytes only where it is', async () => {
    const helps = await Promise.all(
      (['cuda:0', 'webgpu'] as const).flatMap((device) =>
        [BROKEN, FULL['from CUDA']].map(async (message) => {
          const told = await makeEngine(fail(message), { device, chunk: LEAST_CHUNK }).engine.run(0, EMPTY)
          return typeof told === 'string' ? told : told.help
        }),
      ),
    )
    expect(helps.map((help) => help?.includes('the same bytes'))).toEqual([true, true, false, false])
    expect(helps.every((help) => help?.includes('--device cpu'))).toBe(true)
  })

  test('of the processor throws, whatever it is', async () => {
    for (const message of [FULL['in an instruction'], BROKEN])
      await expect(makeEngine(fail(message), { device: 'cpu' }).engine.run(0, EMPTY)).rejects.toThrow(message)
  })
})

const N = 150_000
const random = (seed: number): number[] => {
  const next = makeRandom(seed)
  return Array.from({ length: N }, () => Math.round((next() - 0.5) * 1000) / 500)
}
const [A, B] = [random(1), random(2)]
const models = (folder: string): void => {
  const tensor = (values: number[]): Record<string, TensorValues> => ({
    w: { dtype: 'BF16', shape: [N], values },
    v: { dtype: 'F16', shape: [3], values: [1, 2, 3] },
  })
  writeSafetensors(join(folder, 'a.safetensors'), tensor(A))
  writeSafetensors(join(folder, 'b.safetensors'), tensor(B))
}
const RECIPE = {
  models: { a: 'a.safetensors', b: 'b.safetensors' },
  steps: {
    ties: { op: 'merge.ties', base: 'a', models: [{ model: 'b', density: 0.2 }], rescale: 'l1' },
    dare: { op: 'merge.dare', a: 'ties', b: 'b', drop: 0.6, rescale: 'l1' },
    strong: { op: 'mask.magnitude', model: 'dare', base: 'a', quantile: 0.7 },
  },
  outputs: { out: { from: 'dare', path: 'out.safetensors' }, mask: { from: 'strong', path: 'mask.safetensors' } },
}
const OUTPUTS = ['out.safetensors', 'mask.safetensors'] as const
const read = (folder: string): readonly string[] =>
  OUTPUTS.map((name) => readFileSync(join(folder, name)).toString('latin1'))
const isSame = (found: readonly string[], expected: readonly string[]): boolean =>
  found.every((text, i) => text === expected[i])
const lengthOf = (results: Readonly<Record<string, Tensor>>): number =>
  Math.max(...Object.values(results).map((t) => t.dims[0] ?? 0))

/** Builds on a device whose runs and sessions fail as `trouble` says, which is asked before each. */
const buildOn = (
  folder: string,
  trouble: (length: number, sessions: number) => string | undefined,
  options: BuildOptions = {},
  change?: (engine: Engine, start: WorkerStart) => Engine,
) => {
  let [sessions, most] = [0, 0]
  const lengths: number[] = []
  const open = async (start: WorkerStart, program: number): Promise<Session> => {
    const refused = trouble(0, sessions)
    if (refused !== undefined) throw new Error(refused)
    const session = await sessionOf(start, program)
    most = Math.max(most, ++sessions)
    return {
      run: async (feeds, results) => {
        const message = trouble(lengthOf(results), sessions)
        if (message !== undefined) throw new Error(message)
        lengths.push(lengthOf(results))
        await session.run(feeds, results)
      },
      release: async () => {
        sessions -= 1
        await session.release()
      },
    }
  }
  const start = (order: WorkerStart) =>
    deviceHand(
      order,
      (program) => open(order, program),
      change === undefined ? undefined : (engine) => change(engine, order),
    )
  const result = buildIn(folder, RECIPE, { ...pretend('cuda:0', 1 << 17, 1 << 17, start), ...options })
  return result.then((done) => ({ done, lengths, left: sessions, most }))
}

describe('a build', () => {
  test('whose device runs out of memory goes on with smaller chunks and writes the bytes that the processor writes', () =>
    inFolder(async (folder) => {
      models(folder)
      await built(buildIn(folder, RECIPE, { lock: false }))
      const expected = read(folder)
      const roomy = await buildOn(folder, () => undefined, { lock: false })
      expect([roomy.done.type, Math.max(...roomy.lengths), roomy.left, isSame(read(folder), expected)]).toEqual([
        'ok',
        1 << 17,
        0,
        true,
      ])
      // Chunks are halved in the middle of a tensor, twice, and sessions of two programs do not fit beside each other.
      let runs = 0
      const tight = await buildOn(
        folder,
        (length, sessions) => {
          runs += length > 0 ? 1 : 0
          return length > (runs > 4 ? 1 << 15 : 1 << 17)
            ? FULL['in an instruction']
            : length === 0 && sessions > 2
              ? FULL['while a session is made']
              : undefined
        },
        { lock: false },
      )
      expect([
        tight.done.type,
        tight.lengths.at(-1)! <= 1 << 15,
        tight.most,
        tight.left,
        isSame(read(folder), expected),
      ]).toEqual(['ok', true, 3, 0, true])
      expect(Math.max(...tight.lengths)).toBe(1 << 17)
    }))

  test.each([
    ['device-out-of-memory', FULL['from CUDA']],
    ['device-failed', GONE],
  ])('whose device does not recover ends with %s, and leaves what stood there', (code, message) =>
    inFolder(async (folder) => {
      models(folder)
      await built(buildIn(folder, { ...RECIPE, seed: 9 }))
      const [before, files] = [read(folder), filesIn(folder)]
      // The first of several runs works: part of an output is computed by then.
      let runs = 0
      const { done, left } = await buildOn(folder, (length) => (length > 0 && runs++ > 2 ? message : undefined), {
        force: true,
      })
      expect([codesOf(done), exitCode(done.diagnostics)]).toEqual([[code], 3])
      expect(done.diagnostics[0]!.help).toContain('nothing was written')
      expect(JSON.stringify(done.diagnostics)).not.toMatch(/onnxruntime_src|hostname|vm/)
      expect([isSame(read(folder), before), filesIn(folder), left]).toEqual([true, files, 0])
    }),
  )

  test('pins whole pages that do not overlap, of what goes to the device and comes from there', () =>
    inFolder(async (folder) => {
      models(folder)
      await built(buildIn(folder, RECIPE, { lock: false }))
      const expected = read(folder)
      const pinned: { readonly from: number; readonly to: number }[] = []
      const fed: { readonly from: number; readonly to: number }[] = []
      let buffers = 0
      const { done } = await buildOn(
        folder,
        () => undefined,
        { lock: false },
        (engine) => ({
          programs: engine.programs,
          get chunk() {
            return engine.chunk
          },
          takesBlocks: engine.takesBlocks,
          pins: true,
          pin: ({ byteOffset, byteLength }) => void pinned.push({ from: byteOffset, to: byteOffset + byteLength }),
          grown: () => {
            buffers += 1
          },
          run: (program, frame) => {
            const { inputs, outputs } = engine.programs[program]!
            for (const [ports, offsets] of [
              [inputs, frame.inputs],
              [outputs, frame.outputs],
            ] as const)
              offsets.forEach((from, i) => {
                const bytes = frame.length * PORT_TYPES[ports[i]!.type].array.BYTES_PER_ELEMENT
                if (frame.length > 1) fed.push({ from, to: from + bytes })
              })
            return engine.run(program, frame)
          },
          close: engine.close,
        }),
      )
      expect([done.type, isSame(read(folder), expected), buffers > 0]).toEqual(['ok', true, true])
      expect(pinned.length).toBeGreaterThan(3)
      expect(pinned.filter(({ from, to }) => from % 4096 !== 0 || to % 4096 !== 0 || to <= from)).toEqual([])
      const sorted = pinned.toSorted((a, b) => a.from - b.from)
      expect(sorted.filter(({ from }, i) => i > 0 && from < sorted[i - 1]!.to)).toEqual([])
      expect(fed.length).toBeGreaterThan(0)
      expect(fed.filter(({ from, to }) => !pinned.some((p) => p.from <= from && to <= p.to))).toEqual([])
    }))
})
