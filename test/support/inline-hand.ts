import { loadKernels } from '#src/kernels/kernels.js'
import type { Hand } from '#src/run/crew.js'
import { createBench } from '#src/run/execute.js'
import { createSession, type RunProgram } from '#src/run/sessions.js'
import type { UnitResult } from '#src/run/unit.js'
import type { WorkerAnswer, WorkerStart } from '#src/run/worker.js'

const sessions = new Map<string, Promise<RunProgram>>()
const kernels = loadKernels()

/** A worker in this thread, for the many small builds of a test: real files, real sessions, no thread to start. Sessions are kept between builds. */
export const inlineHand = (start: WorkerStart): Hand => {
  const session = (index: number): Promise<RunProgram> => {
    const { key } = start.programs[index]!
    const known = sessions.get(key) ?? createSession(start.models[index]!)
    sessions.set(key, known)
    return known
  }
  const bench = createBench({ kernels, programs: start.programs, temporary: start.temporary, session, cutting: start.cutting, stopping: () => Atomics.load(start.stop, 0) === 1 })
  const answers: ((answer: WorkerAnswer) => void)[] = []
  const exits: ((reason: string | undefined) => void)[] = []
  let last: Promise<void> = Promise.resolve()
  return {
    onAnswer: (listener) => void answers.push(listener),
    onExit: (listener) => void exits.push(listener),
    send: (task) => {
      last = last.then(async () => {
        if (task === undefined) {
          bench.close()
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
