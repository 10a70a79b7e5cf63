import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import type { Result } from '../base/result.js'
import { toJson } from '../base/screen.js'
import { prepare, type Prepared } from '../run/prepare.js'
import { toJsonText } from '../view/json.js'
import { renderChecked } from '../view/checked.js'
import type { Console } from './console.js'
import { userHub } from './hub.js'

/** `smelt check`: finds all mistakes that can be found before anything is computed, in several recipes at once. */
export const check = async (
  console: Console,
  recipes: readonly string[],
  flags: { readonly json?: boolean },
): Promise<number> => {
  const results: { readonly recipe: string; readonly result: Result<Prepared> }[] = []
  for (const recipe of recipes) results.push({ recipe, result: await prepare(recipe, { jobs: false, hub: userHub() }) })
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
      if (result.type === 'ok') console.out(renderChecked(recipe, result.value.plan, console.look('out')))
  }
  return exitCode(diagnostics)
}
