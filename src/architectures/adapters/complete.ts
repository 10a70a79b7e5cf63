import { trainedTensorsMissing } from '../../base/catalogue/adapter-config.js'
import { quoteName } from '../../base/catalogue/file-entry.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { hasNoRole } from './modules.js'
import type { PeftConfig } from './peft-config.js'
import type { ScaleSource } from './scale.js'

type Names = ReadonlyMap<string, unknown>

/** True where a name has these segments, ended by others. */
const holds = (name: string, module: string): boolean => `.${name}`.includes(`.${module}.`)

/**
 * What a config says was trained beside the factors and the file lacks, which some programs forget to save: whole
 * modules that the model has,
 * and biases of what the adapter changes. `patched` are the model's tensors that it changes.
 */
export const missingTensors = (
  { label, file, at }: ScaleSource,
  { saved, biases }: PeftConfig,
  model: Names,
  patched: Names,
): readonly Diagnostic[] => {
  const given = [...file.tensors.keys()].filter(hasNoRole)
  const lacks = saved.filter(
    (module) => [...model.keys()].some((name) => holds(name, module)) && !given.some((name) => holds(name, module)),
  )
  const forgotten =
    biases &&
    !given.some((name) => name.endsWith('.bias')) &&
    [...patched.keys()].some((name) => model.has(name.replace(/\.weight$/, '.bias')) && name.endsWith('.weight'))
  return [
    ...(lacks.length === 0
      ? []
      : [trainedTensorsMissing(at, label, lacks.map((name) => quoteName(name)).join(', '), 'modules_to_save')]),
    ...(forgotten ? [trainedTensorsMissing(at, label, 'biases', 'bias')] : []),
  ]
}
