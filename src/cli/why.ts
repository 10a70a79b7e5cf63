import { noSuchStep } from '../base/catalogue/cli.js'
import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { didYouMean } from '../base/catalogue/did-you-mean.js'
import { defaultWorkers } from '../run/machine.js'
import { onProcessor } from '../run/devices/choose.js'
import { planNow } from '../run/plan-now.js'
import { toJsonText } from '../view/json.js'
import { outlinePlan, type OutlinedStep } from '../view/plan-outline.js'
import { renderWhy } from '../view/why.js'
import type { Console } from './console.js'
import { readSettings, type SetFlags } from './options.js'
import { userHub } from './hub.js'
import { userStore } from './store.js'

/** What `smelt why` takes besides recipe and step. */
export interface WhyFlags extends SetFlags {
  readonly out?: string
  readonly json?: boolean
}

/** True for the steps of a part, where the step that uses it was asked for. */
const isInside = (s: OutlinedStep, step: string): boolean =>
  s.name.startsWith(`${step}/`) || s.step.startsWith(`${step}/`)

/** `smelt why`: what is different from the last build. */
export const why = async (
  console: Console,
  recipe: string,
  step: string | undefined,
  flags: WhyFlags,
): Promise<number> => {
  const refuse = (diagnostics: readonly Diagnostic[]): number => {
    console.tell(diagnostics)
    return exitCode(diagnostics)
  }
  const set = await readSettings(flags, console.cwd)
  if (set.type === 'failed') return refuse(set.diagnostics)
  const planned = await planNow(recipe, {
    ...set.value,
    reading: 'always',
    store: userStore(),
    hub: userHub(),
    ...(flags.out === undefined ? {} : { out: flags.out }),
  })
  if (planned.type === 'failed') return refuse(planned.diagnostics)
  console.tell(planned.diagnostics)
  const { steps } = outlinePlan(planned.value.plan, onProcessor('', defaultWorkers()).planned, {
    lock: planned.value.lock,
  })
  const names = steps.map((s) => s.name)
  const wanted = step === undefined ? steps : steps.filter((s) => [s.name, s.step].includes(step) || isInside(s, step))
  if (wanted.length === 0) return refuse([noSuchStep(step ?? '', names, didYouMean(step ?? '', names))])
  console.out(
    flags.json === true ? toJsonText({ type: 'reasons', steps: wanted }) : renderWhy(wanted, console.look('out')),
  )
  return 0
}
