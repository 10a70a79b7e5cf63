import type { WorkerHandle } from '#src/run/worker-pool.js'
import type { Executor } from '#src/run/execute.js'
import { workOff, type WorkerAnswer } from '#src/run/worker.js'

/**
 * A worker in this thread, with no thread to start: it does its tasks on a bench, in order; `ended` is called once it
 * has closed it.
 */
export const workerHandleOf = (bench: Executor, ended: () => void = () => undefined): WorkerHandle => {
  const answers: ((answer: WorkerAnswer) => void)[] = []
  const exits: ((reason: string | undefined) => void)[] = []
  let last: Promise<void> = Promise.resolve()
  return {
    onAnswer: (listener) => void answers.push(listener),
    onExit: (listener) => void exits.push(listener),
    send: (task) => {
      last = last.then(async () => {
        if (task !== undefined) {
          const answer = await workOff(bench, task)
          for (const listener of answers) listener(answer)
          return
        }
        await bench.close()
        ended()
        for (const listener of exits) listener(undefined)
      })
    },
  }
}
