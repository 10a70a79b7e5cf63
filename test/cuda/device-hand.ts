import { loadKernels } from '#src/kernels/kernels.js'
import type { Hand } from '#src/run/crew.js'
import { createEngine } from '#src/run/devices/engine.js'
import { createBench } from '#src/run/execute.js'
import type { UnitResult } from '#src/run/unit.js'
import type { WorkerAnswer, WorkerStart } from '#src/run/worker.js'

/** A worker in this thread on any device, with sessions of its own, which it gives back at its end; its memory is its own as well, since that is never given back. */
export const deviceHand = ({ engine, temporary, cutting, stop }: WorkerStart): Hand => {
  const bench = createBench({ kernels: loadKernels(), engine: createEngine(engine), temporary, cutting, stopping: () => Atomics.load(stop, 0) === 1 })
  const answers: ((answer: WorkerAnswer) => void)[] = []
  const exits: ((reason: string | undefined) => void)[] = []
  const tell = (answer: WorkerAnswer): void => answers.forEach((listener) => listener(answer))
  let last: Promise<void> = Promise.resolve()
  return {
    onAnswer: (listener) => void answers.push(listener),
    onExit: (listener) => void exits.push(listener),
    send: (task) => {
      last = last.then(async () => {
        if (task === undefined) {
          await bench.close()
          return exits.forEach((listener) => listener(undefined))
        }
        const results: UnitResult[] = []
        for (const unit of task) {
          const result = await bench.run(unit)
          if (result.type === 'failed') return tell(result)
          results.push(result.value)
        }
        tell({ type: 'done', results })
      })
    },
  }
}
