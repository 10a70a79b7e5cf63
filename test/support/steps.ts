import { Session } from 'node:inspector'
import { setFlagsFromString } from 'node:v8'

const EXACT = ['opt', 'maglev'] as const

/** A command of the engine's own profiler, which answers at once in the thread that asks. */
const ask = (session: Session, command: 'Profiler.enable' | 'Profiler.stopPreciseCoverage'): void => session.post(command)

const sum = (numbers: readonly number[]): number => numbers.reduce((x, y) => x + y, 0)

/**
 * How much work something is: how often the functions of all code in this thread, and the blocks within them, are entered by it.
 * It is the same number on every machine, however busy, which no time is. What the engine does by itself (searching a text, matching a pattern) is not in it.
 */
export const stepsOf = async (work: () => unknown): Promise<number> => {
  const session = new Session()
  session.connect()
  // Optimised code does not count.
  for (const flag of EXACT) setFlagsFromString(`--no-${flag}`)
  try {
    ask(session, 'Profiler.enable')
    session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
    await work()
    let steps = 0
    session.post('Profiler.takePreciseCoverage', (_, { result }) => {
      steps = sum(result.flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges.map(({ count }) => count))))
    })
    ask(session, 'Profiler.stopPreciseCoverage')
    return steps
  } finally {
    for (const flag of EXACT) setFlagsFromString(`--${flag}`)
    session.disconnect()
  }
}

/** How many times the work of half of something its whole is: 2 where work grows with size, 4 where it grows with its square. What is made at the first use is made before. */
export const growthOf = async (half: () => unknown, whole: () => unknown): Promise<number> => {
  await half()
  return await stepsOf(whole) / await stepsOf(half)
}
