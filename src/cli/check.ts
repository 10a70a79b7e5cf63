import { isDeepStrictEqual } from 'node:util'
import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { outputOfOther, tellsOfOther } from '../base/catalogue/plan.js'
import type { Result } from '../base/result.js'
import { toJson } from '../base/screen.js'
import { destinationsOf } from '../plan/destinations.js'
import { createRemotely } from '../run/downloads.js'
import { prepare, type Prepared } from '../run/prepare.js'
import { toJsonText } from '../view/json.js'
import { renderChecked } from '../view/checked.js'
import type { Console } from './console.js'
import { userHub } from './hub.js'
import { readSettings, type SetFlags } from './options.js'

/** What `smelt check` takes besides recipes. */
export interface CheckFlags extends SetFlags {
  readonly json?: boolean
}

/** Files that one recipe writes and another, which was named before it, too. */
const writtenTwice = (
  results: readonly { readonly recipe: string; readonly result: Result<Prepared> }[],
): readonly Diagnostic[] => {
  const owners = new Map<string, string>()
  return results.flatMap(({ recipe, result }) => {
    if (result.type === 'failed') return []
    const { settings, outputs, reports } = result.value.plan
    return destinationsOf(settings, outputs, reports).flatMap(({ paths, label, at }) => {
      const other = paths.map((path) => owners.get(path)).find((owner) => owner !== undefined && owner !== recipe)
      for (const path of paths) owners.set(path, recipe)
      // The lock of the other recipe may have told it.
      const isTold = result.diagnostics.some((d) => tellsOfOther(d) && isDeepStrictEqual(d.at, at))
      return other === undefined || isTold ? [] : [outputOfOther(label, other, at)]
    })
  })
}

/** `smelt check`: finds all mistakes that can be found before anything is computed, in several recipes at once. */
export const check = async (console: Console, recipes: readonly string[], flags: CheckFlags): Promise<number> => {
  const results: { readonly recipe: string; readonly result: Result<Prepared> }[] = []
  const settings = await readSettings(flags, console.cwd)
  if (settings.type === 'failed') {
    console.tell(settings.diagnostics)
    return exitCode(settings.diagnostics)
  }
  for (const recipe of recipes)
    results.push({
      recipe,
      result: await prepare(recipe, {
        ...settings.value,
        jobs: false,
        hub: userHub(),
        remotely: createRemotely(userHub()),
      }),
    })
  const shared = writtenTwice(results)
  const diagnostics: Diagnostic[] = [...results.flatMap(({ result }) => [...result.diagnostics]), ...shared]
  if (flags.json === true) {
    const recipes = results.map(({ recipe, result }) => ({
      path: recipe,
      ok: result.type === 'ok',
      diagnostics: toJson(result.diagnostics),
    }))
    console.out(toJsonText({ recipes, ...(shared.length === 0 ? {} : { diagnostics: toJson(shared) }) }))
  } else {
    console.tell(diagnostics)
    for (const { recipe, result } of results)
      if (result.type === 'ok') console.out(renderChecked(recipe, result.value, console.look('out')))
  }
  return exitCode(diagnostics)
}
