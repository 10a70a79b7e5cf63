import { resolve } from 'node:path'
import type { Place } from '../base/diagnostic.js'
import { ok, type Result } from '../base/result.js'
import type { HubAccess } from '../hub/access.js'
import { makePlan } from '../plan/make-plan.js'
import type { Plan } from '../plan/plan.js'
import type { InputModel, Recipe } from '../recipe/recipe.js'
import { reportOutput, reportStep } from '../recipe/report-recipe.js'
import type { Download } from './downloads.js'
import { locateInput } from './locate-inputs.js'
import { openInputs } from './prepare.js'

const option = (name: string): Place => ({ type: 'option', name })

/** The recipe that a command line stands for: one report, `report.diff`. */
const recipeOf = (a: string, b: string, layers: readonly string[], path: string): Recipe => {
  const input = (name: string, file: string): InputModel => ({
    kind: 'model',
    name,
    path: file,
    sha256: undefined,
    at: option(file),
  })
  const patterns = layers.map((text) => ({ text, optional: false, at: option(text) }))
  const place = option('smelt diff')
  const compared = { a: { name: 'a', at: option(a) }, b: { name: 'b', at: option(b) } }
  return {
    source: { path: 'smelt diff', text: '' },
    name: 'diff',
    seed: 0,
    params: {},
    computed: {},
    idleUses: new Map(),
    parts: new Map(),
    inputs: new Map([
      ['a', input('a', a)],
      ['b', input('b', b)],
    ]),
    steps: new Map([
      [
        'diff',
        reportStep(
          'diff',
          'report.diff',
          place,
          compared,
          patterns.length === 0 ? {} : { layers: { type: 'layers', patterns, at: place } },
        ),
      ],
    ]),
    outputs: new Map([['diff', reportOutput('diff', place, path, option('--html'))]]),
  }
}

/** Opens two models, which `download` fetches if they are of the hub and missing, and plans the report of how their layers differ, to be written to `path`. */
export const planDiff = async (
  a: string,
  b: string,
  layers: readonly string[],
  folder: string,
  path: string,
  hub?: HubAccess,
  download?: Download,
): Promise<Result<Plan>> => {
  const recipe = recipeOf(a, b, layers, path)
  const inputs = await openInputs(recipe.inputs.values(), folder, undefined, (input) =>
    locateInput(input, { folder, hub, notNow: 'planning', download }),
  )
  if (inputs.type === 'failed') return inputs
  const plan = makePlan(recipe, inputs.value, { recipe: resolve(folder), out: undefined })
  return plan.type === 'failed' ? plan : ok(plan.value, [...inputs.diagnostics, ...plan.diagnostics])
}
