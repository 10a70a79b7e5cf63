import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { lockDestination } from '../run/destinations.js'
import { gatherPriorState } from '../run/gather-prior-state.js'
import { draft } from '../run/prepare.js'
import { lockPath } from '../store/lock.js'
import type { LayOutOptions } from './lay-out.js'
import { complete } from './ready.js'

/**
 * True if a build of a recipe on this machine would find everything up to date, by its cache and without reading any
 * tensor: then there is nothing to hand to others. Problems of the recipe are left to whoever builds it.
 */
export const isUpToDate = async (recipe: string, options: LayOutOptions): Promise<boolean> => {
  const { set = {}, rows = [], out, signal, hub, store } = options
  const lock = lockPath(resolve(recipe))
  if (store === undefined || !existsSync(lock)) return false
  const drafted = await draft(
    resolve(recipe),
    {
      set,
      rows,
      ...(out === undefined ? {} : { out }),
      ...(signal === undefined ? {} : { signal }),
      ...(hub === undefined ? {} : { hub }),
    },
    [lockDestination(lock)],
  )
  if (drafted.type === 'failed' || drafted.value.draft.questions.size > 0) return false
  const { known, mayReuse } = await gatherPriorState(drafted.value.draft, store)
  if (!mayReuse) return false
  const plan = await complete(drafted.value.draft, known, signal)
  if (plan.type === 'failed') return false
  const { jobs, undigested, outputs, reports } = plan.value
  return (
    jobs.length === 0 &&
    undigested.length === 0 &&
    outputs.every(({ kept }) => kept !== undefined) &&
    reports.every(({ kept }) => kept)
  )
}
