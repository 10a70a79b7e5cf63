import { factorMissing, factorShape } from '../../base/catalogue/adapters.js'
import { failed, ok, type Result } from '../../base/result.js'
import { CONTROL_INPUT, isControlLora } from './bfl.js'
import type { AdapterModule } from './modules.js'
import type { AdapterNames } from './names.js'
import type { PatchContext } from './patch-context.js'
import { numbersOf, type ScaleSource } from './scale.js'

type Shape = readonly number[]

/** The shape that a module wants its weight to have; undefined for most. */
const wantedOf = (module: AdapterModule, { file }: ScaleSource): Shape | undefined => {
  const info = module.tensors.get('reshape')
  if (info !== undefined) return numbersOf(file, info)
  if (module.name !== CONTROL_INPUT || !isControlLora(file.tensors)) return undefined
  const [up, down] = [module.tensors.get('up'), module.tensors.get('down')]
  return up === undefined || down === undefined ? undefined : [up.shape[0] ?? 1, ...down.shape.slice(1)]
}

/**
 * The shapes of weights that an adapter asks to be padded with zeros at the end of their axes before it changes them, by
 * tensor of the model: `reshape_weight` of ComfyUI, and the inputs of control LoRAs of Black Forest Labs.
 */
export const widerShapes = (
  source: ScaleSource,
  modules: readonly AdapterModule[],
  names: AdapterNames,
  tensors: PatchContext['tensors'],
): Result<ReadonlyMap<string, Shape>> => {
  const { label, at } = source
  const shapes = new Map<string, Shape>()
  for (const module of modules) {
    const wanted = wantedOf(module, source)
    const targets = names.get(module.name) ?? []
    const [target] = targets
    const stored = target?.weight === undefined ? undefined : tensors.get(target.weight)?.shape
    if (wanted === undefined || target?.weight === undefined || stored === undefined) continue
    if (!module.tensors.has('up') || !module.tensors.has('down'))
      return failed(factorMissing(at, label, module.name, ['`lora_up`', '`lora_down`']))
    const { weight: tensor, rows, part, change } = target
    const isWhole = targets.length === 1 && rows === undefined && part === undefined && change === undefined
    if (!isWhole || wanted.length !== stored.length || wanted.some((n, i) => !(n >= stored[i]!)))
      return failed(
        factorShape(at, {
          adapter: label,
          module: module.name,
          factor: (module.tensors.get('reshape') ?? module.tensors.get('down')!).name,
          found: wanted,
          wanted: stored,
          rank: undefined,
          tensor,
          shape: stored,
          rows,
        }),
      )
    if (wanted.join() !== stored.join()) shapes.set(tensor, wanted)
  }
  return ok(shapes)
}
