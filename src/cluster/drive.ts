import type { Diagnostic } from '../base/diagnostic.js'
import { decide, PATIENCE, type Action, type Outcome, type Patience } from './decide.js'
import { createObserver, type DriverFiles } from './observe.js'
import type { Scheduler } from './scheduler.js'

/** What a driver needs besides the files of the run and the scheduler. */
export interface DriveOptions {
  readonly patience?: Patience
  /** Seconds of a clock that never goes back. */
  readonly now: () => number
  readonly sleep: (seconds: number) => Promise<void>
  /** Makes the outputs of a run whose parts are all done; problems if that failed. */
  readonly commit: () => Promise<readonly Diagnostic[]>
  /** Hears what is done, before it is. */
  readonly told?: (action: Action) => void
  /** Stops driving, and leaves the tasks as they are: another driver can go on. */
  readonly signal?: AbortSignal
}

/** How driving ended: the run is over, something is wrong, or it was told to stop. */
export type Driven =
  | Outcome
  | { readonly type: 'problems'; readonly diagnostics: readonly Diagnostic[] }
  | { readonly type: 'left' }

/**
 * Drives a run to its end: hands its parts to the scheduler, stage by stage, again where tasks vanish, and commits. It
 * may be killed at any time and begun again. There must be one at a time, which the caller sees to.
 */
export const drive = async (files: DriverFiles, scheduler: Scheduler, options: DriveOptions): Promise<Driven> => {
  const { patience = PATIENCE, now, sleep, signal } = options
  const observer = createObserver(files, scheduler, now)
  const perform = async (action: Action): Promise<Driven | undefined> => {
    options.told?.(action)
    switch (action.type) {
      case 'submit': {
        observer.handingOver(action.parts)
        const diagnostics = await scheduler.submit(action.parts, observer.handedOver)
        return diagnostics.length === 0 ? undefined : { type: 'problems', diagnostics }
      }
      case 'requeue':
        await scheduler.requeue(action.parts, observer.handedOver)
        return undefined
      case 'release':
        await scheduler.release(action.parts, observer.handedOver)
        return undefined
      case 'look':
        observer.look(action.parts)
        return undefined
      case 'withdraw':
        await scheduler.withdraw()
        return undefined
      case 'commit': {
        const diagnostics = await options.commit()
        return diagnostics.length === 0 ? undefined : { type: 'problems', diagnostics }
      }
      case 'wait':
        await sleep(action.seconds)
        return undefined
      case 'stop':
        if (action.outcome.type === 'given-up') files.forget()
        return action.outcome
    }
  }
  const isLeft = (): boolean => signal?.aborted === true
  while (!isLeft()) {
    for (const action of decide(await observer.observe(), patience)) {
      const driven = isLeft() ? undefined : await perform(action)
      if (driven !== undefined) return driven
    }
  }
  return { type: 'left' }
}
