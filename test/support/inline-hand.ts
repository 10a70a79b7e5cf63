import { loadKernels } from '#src/kernels/kernels.js'
import type { Hand } from '#src/run/crew.js'
import { createBench } from '#src/run/execute.js'
import { createEngine } from '#src/run/devices/engine.js'
import { createSession, type Session } from '#src/run/sessions.js'
import type { UnitResult } from '#src/run/unit.js'
import type { WorkerAnswer, WorkerStart } from '#src/run/worker.js'

const sessions = new Map<string, Promise<Session>>()

/**
 * A worker in this thread, for the many small builds of a test: real files, real sessions, no thread to start. Sessions are kept between
 * builds. Programs of any device run on the processor, which has all kernels: only what a program looks like depends on the device.
 */
export const inlineHand = (start: WorkerStart): Hand => {
  const { device, programs, models } = start.engine
  const open = async (index: number): Promise<Session> => {
    const key = `${device}${programs[index]!.key}`
    const known = sessions.get(key) ?? createSession(models[index]!)
    sessions.set(key, known)
    return { run: (await known).run, release: async () => undefined }
  }
  const bench = createBench({
    // Memory of its own: shared, it would grow with every build, and collecting garbage takes the longer the more there is.
    kernels: loadKernels(), engine: createEngine(start.engine, open), temporary: start.temporary, cutting: start.cutting, stopping: () => Atomics.load(start.stop, 0) === 1,
  })
  const answers: ((answer: WorkerAnswer) => void)[] = []
  const exits: ((reason: string | undefined) => void)[] = []
  let last: Promise<void> = Promise.resolve()
  return {
    onAnswer: (listener) => void answers.push(listener),
    onExit: (listener) => void exits.push(listener),
    send: (task) => {
      last = last.then(async () => {
        if (task === undefined) {
          await bench.close()
          for (const listener of exits) listener(undefined)
          return
        }
        const results: UnitResult[] = []
        for (const unit of task) {
          const result = await bench.run(unit)
          if (result.type === 'failed') return answers.forEach((listener) => listener(result))
          results.push(result.value)
        }
        for (const listener of answers) listener({ type: 'done', results })
      })
    },
  }
}
