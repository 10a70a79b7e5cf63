import { strengthsCount } from '../base/catalogue/adapter-tensors.js'
import { failed, type Result } from '../base/result.js'
import { adaptersOf, valueOf } from './call-arguments.js'
import { combineAdapters, type Combination } from './combine-adapters.js'
import type { Call } from './operator.js'
import { numbers } from './params.js'
import type { Value } from './value.js'

const TAKES =
  'Takes pairs of factors (LoRA and LoCon) and stored differences (`diff`, `diff_b`); other kinds are refused, and so is a module that has both.'
const PEFT = 'In the names of PEFT the output can be a folder with its `adapter_config.json` (`path: lora/`).'

/** What operators that combine adapters say of their kinds. */
export const ADAPTER_KINDS = `${TAKES} Modules keep the names and dtypes of the first adapter that has them, and if any of them states an \`alpha\`, all do: their rank. ${PEFT} What the trainers wrote in the headers (\`ss_*\`) is kept where all adapters have it alike, and their tags are added up.`

/** What an operator that changes one adapter says of its kinds. */
export const OWN_KINDS = `${TAKES} Modules keep their names and dtypes, and if any of them states an \`alpha\`, all do: their rank. ${PEFT} What the trainer wrote in the header (\`ss_*\`) is kept.`

/** The param that weighs the adapters of a step. */
export const STRENGTHS = numbers({
  required: false,
  description: 'What each adapter is multiplied by, in their order; 1 for all unless given.',
})

/** The adapters of a step in one, each with its strength. */
export const combineWithStrengths = (call: Call, combination: Combination): Result<readonly Value[]> => {
  const all = adaptersOf(call, 'adapters')
  const given = (valueOf(call, 'strengths') ?? all.map(() => 1)) as readonly number[]
  return given.length === all.length
    ? combineAdapters(call, all, given, combination)
    : failed(strengthsCount(call.at('strengths'), given.length, all.length))
}
