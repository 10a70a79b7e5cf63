import { basename, join } from 'node:path'
import { unlikeType } from '../architectures/config-types.js'
import * as say from '../base/catalogue/model-folders.js'
import { append } from '../base/lists.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Output, Recipe } from '../recipe/recipe.js'
import { compareNames } from '../safetensors/name-order.js'
import { TOKENIZER_FILES } from '../tokenizers/token-table.js'
import type { Written } from './written.js'
import { setChatTemplate } from './chat-template.js'
import { parseConfig, refuseChange } from './config-change.js'
import type { LayerContext } from './context.js'
import { modelCard } from './model-card.js'
import { editConfig, renumberTokens, type ConfigOf } from './model-config.js'
import { CARD, CONFIG, GENERATION, hubIdOf, type ModelFolder } from './model-folder.js'
import type { OpenedInputs } from './inputs.js'
import type { WholeFile } from './plan.js'
import { usedFiles } from './provenance.js'
import type { PlannedVocabulary } from './vocabulary.js'

/** A recipe with its opened inputs, and what stands beside its models, by name. */
export interface WithFolders {
  readonly recipe: Recipe
  readonly inputs: OpenedInputs
  readonly folders?: ReadonlyMap<string, ModelFolder>
}

/** What of the model that is written decides its config. */
type Facts = Pick<ConfigOf, 'unscaled' | 'change' | 'origins'>

/** What stands beside the tensors of an output that is a folder; the config last, by which programs find a model. */
export const planSideFiles = (
  { recipe, inputs, folders = new Map() }: WithFolders,
  output: Output,
  folder: string,
  written: ReadonlyMap<string, Written>,
  { unscaled, change, origins }: Facts,
  { layers, vocabulary }: { readonly layers: LayerContext; readonly vocabulary?: PlannedVocabulary | undefined },
): Result<readonly WholeFile[]> => {
  const used = usedFiles(recipe, output.from.name).map((name) => inputs.get(name)!)
  const at = output.files?.at ?? output.pathAt
  const donor = output.files === undefined ? used.find(({ kind }) => kind === 'model') : inputs.get(output.files.name)
  if (donor?.kind !== 'model') return failed(say.filesOfStep(at, output.files?.name ?? output.from.name))
  const warnings: Diagnostic[] = []
  const files = new Map(folders.get(donor.name)?.files)
  // What a model has that the vocabulary is not for, it keeps.
  const own = vocabulary?.models.has(donor.name) === true ? vocabulary : undefined
  if (own !== undefined) {
    for (const name of TOKENIZER_FILES) files.delete(name)
    for (const [name, bytes] of own.files) if (TOKENIZER_FILES.has(name)) files.set(name, bytes)
    const generation = files.get(GENERATION)
    if (generation !== undefined) {
      const edited = renumberTokens(generation, GENERATION, donor.name, own, at)
      append(warnings, edited.diagnostics)
      if (edited.type === 'ok') files.set(GENERATION, edited.value)
    }
  }
  if (output.chatTemplate !== undefined) {
    const models = used.filter(({ kind }) => kind === 'model').map(({ name }) => name)
    const set = setChatTemplate(files, output.chatTemplate, folders, models)
    if (set.type === 'failed') return set
    append(warnings, set.diagnostics)
  } else if (folders.get(own?.owner ?? donor.name)?.moreTemplates === true)
    warnings.push(say.templatesLeft(at, own?.owner ?? donor.name))
  const config = files.get(CONFIG)
  if (config === undefined) warnings.push(say.noModelConfig(at, donor.name, donor.path))
  else {
    const configured = (name: string) => ({ name, config: parseConfig(folders.get(name)?.files.get(CONFIG)) })
    const unfit =
      change === undefined
        ? []
        : refuseChange(
            configured(donor.name),
            used.filter(({ kind }) => kind === 'model').map(({ name }) => configured(name)),
            change,
            at,
          )
    if (unfit.length > 0) return failed(...unfit)
    const type = parseConfig(config)?.['model_type']
    const like = unlikeType(donor.file.tensors, type)
    if (like !== undefined) return failed(say.configUnlike(at, donor.name, String(type), like))
    const edited = editConfig(config, {
      donor: donor.file.tensors,
      written,
      unscaled,
      layers,
      model: donor.name,
      change,
      origins,
      at,
      ...(own === undefined ? {} : { vocabulary: own }),
    })
    if (edited.type === 'failed') return edited
    append(warnings, edited.diagnostics)
    files.set(CONFIG, edited.value)
  }
  const card = modelCard({
    recipe,
    from: output.from.name,
    inputs: used.map(({ name, path, origin }) => ({
      name,
      path,
      id: origin?.repository ?? hubIdOf(path),
      card: folders.get(name)?.card,
    })),
    loadable: config !== undefined,
    at,
  })
  append(warnings, card.warnings)
  files.set(CARD, Buffer.from(card.text))
  const sides = [...files].map(([name, bytes]): WholeFile => ({ path: join(folder, name), bytes }))
  return ok(
    sides.sort(
      (x, y) =>
        Number(basename(x.path) === CONFIG) - Number(basename(y.path) === CONFIG) || compareNames(x.path, y.path),
    ),
    warnings,
  )
}
