import { cacheLeft } from '../base/catalogue/cli.js'
import { exitCode } from '../base/diagnostic.js'
import { reasonOf } from '../base/reason.js'
import { toJsonText } from '../view/json.js'
import { renderFreed, renderStore } from '../view/store.js'
import type { Console } from './console.js'
import { userStore } from './store.js'

const tryTo = (console: Console, folder: string, work: () => number): number => {
  try {
    console.out(renderFreed(work(), folder))
    return 0
  } catch (error) {
    const problem = cacheLeft(folder, reasonOf(error))
    console.tell([problem])
    return exitCode([problem])
  }
}

/** `smelt cache`: lists and removes cache entries. */
export const cache = (console: Console, action: 'ls' | 'gc' | 'clear', flags: { readonly json?: boolean }): number => {
  const store = userStore()
  if (action === 'gc') return tryTo(console, store.folder, () => store.collect())
  if (action === 'clear') return tryTo(console, store.folder, () => store.clear())
  const entries = store.list()
  console.out(
    flags.json === true
      ? toJsonText({ type: 'store', folder: store.folder, limit: store.limit, entries })
      : renderStore(store.folder, store.limit, entries, Date.now(), console.look('out')),
  )
  return 0
}
