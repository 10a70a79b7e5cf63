import type { Hand } from '#src/run/crew.js'
import type { Bench } from '#src/run/execute.js'
import type { UnitResult } from '#src/run/unit.js'
import type { WorkerAnswer, WorkerTask } from '#src/run/worker.js'

/** A worker in this thread, with no thread to start: it does its tasks on a bench, in order; `ended` is called once it has closed it. */
export const handOf = (bench: Bench, ended: () => void = () => undefined): Hand => {
  const answers: ((answer: WorkerAnswer) => void)[] = []
  const exits: ((reason: string | undefined) => void)[] = []
  const work = async (units: NonNullable<WorkerTask>): Promise<WorkerAnswer> => {
    const results: UnitResult[] = []
    for (const unit of units) {
      const result = await bench.run(unit)
      if (result.type === 'failed') return result
      results.push(result.value)
    }
    return { type: 'done', results }
  }
  let last: Promise<void> = Promise.resolve()
  return {
    onAnswer: (listener) => void answers.push(listener),
    onExit: (listener) => void exits.push(listener),
    send: (task) => {
      last = last.then(async () => {
        if (task !== undefined) {
          const answer = await work(task)
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
