import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import type { Result } from '../base/result.js'
import { toJson } from '../base/screen.js'
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
  const diagnostics: Diagnostic[] = results.flatMap(({ result }) => [...result.diagnostics])
  if (flags.json === true) {
    const recipes = results.map(({ recipe, result }) => ({
      path: recipe,
      ok: result.type === 'ok',
      diagnostics: toJson(result.diagnostics),
    }))
    console.out(toJsonText({ recipes }))
  } else {
    console.tell(diagnostics)
    for (const { recipe, result } of results)
      if (result.type === 'ok') console.out(renderChecked(recipe, result.value, console.look('out')))
  }
  return exitCode(diagnostics)
}
