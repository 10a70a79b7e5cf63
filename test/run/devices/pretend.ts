import { ok } from '#src/base/result.js'
import { kernelsOf } from '#src/graph/lower.js'
import { encodeOnnx } from '#src/graph/onnx.js'
import type { Instruction, Program } from '#src/graph/program.js'
import { decodingTables } from '#src/kernels/convert.js'
import type { PlannedDevice } from '#src/plan/device.js'
import type { BuildOptions } from '#src/run/build.js'
import type { WorkerHandle } from '#src/run/worker-pool.js'
import type { Device } from '#src/run/devices/device.js'
import { createSession, type Session } from '#src/run/sessions.js'
import type { WorkerStart } from '#src/run/worker.js'
import { inlineWorker } from '../../support/inline-worker.js'
import { deviceHand, onnxOf } from './device-hand.js'

/** What a plan says of a device that is not there. */
export const plannedOn = (name: Device, chunk = 0): PlannedDevice => ({
  name,
  title: undefined,
  reason: 'a test',
  workers: 1,
  chunk,
  memory: undefined,
  notes: [],
})

/**
 * The one kernel that the processor lacks: it cannot choose among masks. What is chosen is put together of what it can.
 */
const chooseMasks = (program: Program): Program => {
  const { instructions } = program
  const isMask = (i: number, name: string): boolean =>
    kernelsOf({
      ...program,
      instructions: [...instructions.slice(0, i), { op: 'Asked', inputs: [name], output: 'asked' }],
    }).includes('Asked bool')
  return {
    ...program,
    instructions: instructions.flatMap((instruction, i): readonly Instruction[] => {
      const {
        op,
        inputs: [mask, yes, no],
        output,
      } = instruction
      if (op !== 'Where' || !isMask(i, yes!)) return [instruction]
      return [
        { op: 'And', inputs: [mask!, yes!], output: `${output} yes` },
        { op: 'Not', inputs: [mask!], output: `${output} else` },
        { op: 'And', inputs: [`${output} else`, no!], output: `${output} no` },
        { op: 'Or', inputs: [`${output} yes`, `${output} no`], output },
      ]
    }),
  }
}

const LACKING = 'Where bool,bool,bool'
const tables = decodingTables()
const sessions = new Map<string, Promise<Session>>()

/**
 * A worker in this thread, on the processor, whatever device its programs are lowered for. Sessions are kept between
 * builds; memory is not, or it would grow with each.
 */
export const anyHand = (start: WorkerStart): WorkerHandle =>
  start.engine.type === 'compiled' ? inlineWorker(start) : onnxHand(start)

const onnxHand = (start: WorkerStart): WorkerHandle =>
  deviceHand(start, async (index) => {
    const { device, programs, models } = onnxOf(start)
    const program = programs[index]!
    const key = `${device}${program.key}`
    const known =
      sessions.get(key) ??
      createSession(kernelsOf(program).includes(LACKING) ? encodeOnnx(chooseMasks(program), tables) : models[index]!)
    sessions.set(key, known)
    return { run: (await known).run, release: async () => undefined }
  })

/**
 * Options of a build that takes a device for there: its programs are lowered for it and its work is cut for it, and the
 * processor runs them.
 * `block` is a multiple of 65,536.
 */
export const pretend = (
  device: Device,
  chunk = 1 << 20,
  block = 1 << 20,
  start: (order: WorkerStart) => WorkerHandle = anyHand,
): BuildOptions => ({
  device,
  start,
  choose: async () => ok({ device, workers: 1, cutting: { chunk, block }, planned: plannedOn(device, chunk) }),
})
