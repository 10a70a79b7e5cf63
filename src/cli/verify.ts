import { exitCode } from '../base/diagnostic.js'
import { defaultWorkers } from '../run/machine.js'
import { withThreadsAhead } from '../run/worker-pool.js'
import { verify as verifyRecipe } from '../run/verify.js'
import { toJsonText } from '../view/json.js'
import { renderVerified } from '../view/verified.js'
import type { Console } from './console.js'
import { userHub } from './hub.js'
import { readWorkers } from './options.js'
import { listenForStop } from './signals.js'

/** What `smelt verify` takes besides the recipe. */
export interface VerifyFlags {
  readonly out?: string
  readonly workers?: string
  readonly json?: boolean
}

/** `smelt verify`: whether inputs and outputs are still what the lock says. */
export const verify = async (console: Console, recipe: string, flags: VerifyFlags): Promise<number> => {
  const workers = readWorkers(flags.workers, defaultWorkers)
  if (workers.type === 'failed') {
    console.tell(workers.diagnostics)
    return exitCode(workers.diagnostics)
  }
  return withThreadsAhead(workers.value, async () => {
    const interruption = listenForStop(() => undefined)
    try {
      const result = await verifyRecipe(recipe, {
        workers: workers.value,
        device: 'cpu',
        hub: userHub(),
        signal: interruption.signal,
        ...(flags.out === undefined ? {} : { out: flags.out }),
      })
      console.tell(result.diagnostics)
      if (result.type === 'failed') return interruption.exitCode ?? exitCode(result.diagnostics)
      console.out(
        flags.json === true
          ? toJsonText({ type: 'verification', ...result.value })
          : renderVerified(result.value, console.look('out')),
      )
      return 0
    } finally {
      interruption.end()
    }
  })
}
