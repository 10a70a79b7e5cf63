import { exitCode } from '../base/diagnostic.js'
import { defaultWorkers } from '../run/machine.js'
import { chooseDevice } from '../run/devices/choose.js'
import { createRemotely } from '../run/downloads.js'
import { planNow } from '../run/plan-now.js'
import { toJsonText } from '../view/json.js'
import { renderDot, renderMermaid } from '../view/plan-graph.js'
import { outlinePlan } from '../view/plan-outline.js'
import { renderPlan } from '../view/plan-text.js'
import type { Console } from './console.js'
import { cudaPlaces } from './cuda-places.js'
import { readDevice, readSettings, readWorkers, type SetFlags } from './options.js'
import { userHub } from './hub.js'
import { userStore } from './store.js'

/** The ways a plan can be printed. */
export const FORMATS = ['text', 'json', 'dot', 'mermaid'] as const

/** What `smelt plan` takes besides the recipe. */
export interface PlanFlags extends SetFlags {
  readonly out?: string
  readonly device: string
  readonly workers?: string
  readonly format: (typeof FORMATS)[number]
}

/** `smelt plan`: everything a build would do, without doing it. */
export const plan = async (console: Console, recipe: string, flags: PlanFlags): Promise<number> => {
  const [set, workers, wish] = [
    await readSettings(flags, console.cwd),
    readWorkers(flags.workers, defaultWorkers),
    readDevice(flags.device),
  ]
  const prepared =
    set.type === 'ok' && workers.type === 'ok' && wish.type === 'ok'
      ? await planNow(recipe, {
          ...set.value,
          reading: 'never',
          shown: true,
          store: userStore(),
          hub: userHub(),
          remotely: createRemotely(userHub()),
          device: wish.value,
          ...(flags.out === undefined ? {} : { out: flags.out }),
        })
      : undefined
  const chosen =
    prepared?.type === 'ok' && workers.type === 'ok' && wish.type === 'ok'
      ? await chooseDevice(wish.value, prepared.value.plan, workers.value, cudaPlaces())
      : undefined
  const diagnostics = [set, workers, wish, prepared, chosen].flatMap((r) => r?.diagnostics ?? [])
  console.tell(diagnostics)
  if (prepared?.type !== 'ok' || chosen?.type !== 'ok') return exitCode(diagnostics)
  const outline = outlinePlan(prepared.value.plan, chosen.value.planned, {
    lock: prepared.value.lock,
    speed: userStore().speeds.find(chosen.value.device),
  })
  console.out(
    {
      text: () => renderPlan(outline, console.look('out')),
      json: () => toJsonText(outline),
      dot: () => renderDot(outline),
      mermaid: () => renderMermaid(outline),
    }[flags.format](),
  )
  return 0
}
