import { loadKernels } from '#src/kernels/kernels.js'
import type { Hand } from '#src/run/crew.js'
import { createEngine, type Engine } from '#src/run/devices/engine.js'
import { createBench } from '#src/run/execute.js'
import { createSession, type Session } from '#src/run/sessions.js'
import type { UnitResult } from '#src/run/unit.js'
import type { WorkerAnswer, WorkerStart } from '#src/run/worker.js'

/** The session of a program that runs on the processor, whatever device it was lowered for. */
export const sessionOf = ({ engine }: WorkerStart, program: number): Promise<Session> => createSession(engine.models[program]!)

/** A worker in this thread, on a device of which a test says how it makes sessions and what else its engine does; `ended` is called once it has. */
export const deviceHand = (
  start: WorkerStart, open: (program: number) => Promise<Session>, change: (engine: Engine) => Engine = (engine) => engine, ended: () => void = () => undefined,
): Hand => {
  const engine = change(createEngine(start.engine, open))
  const bench = createBench({ kernels: loadKernels(), engine, temporary: start.temporary, cutting: start.cutting, stopping: () => Atomics.load(start.stop, 0) === 1 })
  const answers: ((answer: WorkerAnswer) => void)[] = []
  const exits: ((reason: string | undefined) => void)[] = []
  let last: Promise<void> = Promise.resolve()
  const answer = async (units: NonNullable<Parameters<Hand['send']>[0]>): Promise<WorkerAnswer> => {
    const results: UnitResult[] = []
    for (const unit of units) {
      const result = await bench.run(unit)
      if (result.type === 'failed') return result
      results.push(result.value)
    }
    return { type: 'done', results }
  }
  return {
    onAnswer: (listener) => void answers.push(listener),
    onExit: (listener) => void exits.push(listener),
    send: (task) => {
      last = last.then(async () => {
        if (task !== undefined) {
          const given = await answer(task)
          for (const listener of answers) listener(given)
          return
        }
        await bench.close()
        ended()
        for (const listener of exits) listener(undefined)
      })
    },
  }
}
