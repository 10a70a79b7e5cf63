import { Session } from 'node:inspector'
import { setFlagsFromString } from 'node:v8'

const OPTIMISERS = ['opt', 'maglev']

/**
 * How much work something is: how often functions are called in this thread, whoever's they are.
 * It is the same number on every machine, however busy, which no time is. Loops that call nothing, and what the engine
 * does by itself (searching a text,
 * matching a pattern), are not in it.
 */
export const callsOf = async (work: () => unknown): Promise<number> => {
  const session = new Session()
  session.connect()
  // Optimised code does not count its calls; to begin drops what there is of it.
  for (const kind of OPTIMISERS) setFlagsFromString(`--no-${kind}`)
  try {
    session.post('Profiler.enable')
    session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
    await work()
    let calls = 0
    session.post('Profiler.takePreciseCoverage', (_, { result }) => {
      for (const { functions } of result)
        for (const { ranges } of functions) for (const { count } of ranges) calls += count
    })
    session.post('Profiler.stopPreciseCoverage')
    return calls
  } finally {
    for (const kind of OPTIMISERS) setFlagsFromString(`--${kind}`)
    session.disconnect()
  }
}

/**
 * How many times the calls of half of something its whole makes: 2 where they grow with size, 4 where they grow with
 * its square. What is made at the first use is made before.
 */
export const growthOf = async (half: () => unknown, whole: () => unknown): Promise<number> => {
  await half()
  const less = await callsOf(half)
  return (await callsOf(whole)) / less
}
