import type { Diagnostic, Place } from '../diagnostic.js'
import { didYouMean } from './did-you-mean.js'
import { entry } from './entry.js'
import { listNames, quoteName } from './file-entry.js'

/** What a side file should be. */
export const SIDE_FILE_WORDS = 'a file of a model'

/** A config.json, or another such file of a model's folder, that cannot be read as JSON. */
export const modelConfigInvalid = (at: Place, model: string, message: string, file = 'config.json'): Diagnostic =>
  entry('config-invalid', `smelt cannot read the ${file} of \`${model}\`: ${message}`, {
    at,
    help: 'repair the file, or name another model with `files`',
  })

/** `files` names a step, or an adapter. */
export const filesOfStep = (at: Place, name: string): Diagnostic =>
  entry('files-of-step', `\`${name}\` is not one of the recipe’s \`models\`, and only their folders have side files`, {
    at,
    help: 'name one of `models`: `files: base`',
  })

/** A chat template that is neither text nor the name of a model. */
export const notATemplate = (at: Place, name: string, models: readonly string[]): Diagnostic =>
  entry('unknown-name', `\`${name}\` is not one of the recipe’s \`models\`, nor the text of a template`, {
    at,
    help:
      didYouMean(name, ['auto', ...models]) ??
      `write \`auto\`, the name of a model (${listNames(models)}), or a Jinja template, which has \`{\``,
  })

/** A model that has no chat template. */
export const noChatTemplate = (at: Place, model: string): Diagnostic =>
  entry('no-chat-template', `there is no chat template beside \`${model}\``, {
    at,
    help: 'name a model with a `chat_template.jinja`, or write the template itself',
  })

/** A chat template to be chosen from models none of which has one. A warning. */
export const noChatTemplates = (at: Place): Diagnostic =>
  entry('no-chat-template', 'no model of this output has a chat template, so the folder gets none', {
    at,
    severity: 'warning',
    help: 'remove `chat_template`, or write the template itself',
  })

/** `files`, or `chat_template`, for an output that is one file. */
export const filesWithoutFolder = (at: Place, path: string, key: 'files' | 'chat_template' = 'files'): Diagnostic =>
  entry('files-without-folder', `\`${key}\` needs a folder to write to, and ${quoteName(path)} is a file`, {
    at,
    help: 'end the path with `/` to write a folder, such as `path: build/merged/`',
  })

/** Something else than a model is to be written as a folder. */
export const folderOfOther = (at: Place, path: string, kind: string): Diagnostic =>
  entry(
    'folder-of-other',
    `${quoteName(path)} is a folder, and only models are written as folders; this is a ${kind}`,
    {
      at,
      help: 'write a file: end the path in `.safetensors`',
    },
  )

/** A folder would replace a file that smelt did not write, or that was changed since. A usage error on the command line. */
export const foreignFile = (at: Place, path: string): Diagnostic =>
  entry('foreign-file', `${path} already exists, and smelt did not write it or it was changed since`, {
    at,
    help: 'move or delete it, or write to another folder',
  })

/** A config of another network than the model beside it. */
export const configUnlike = (at: Place, model: string, type: string, example: string): Diagnostic =>
  entry(
    'config-unlike-model',
    `the config.json of \`${model}\` is for ${quoteName(type)}, and the model is something else: no tensor has a name such as ${quoteName(example)}`,
    { at, help: 'put the config.json of this model beside it, or name another model with `files`' },
  )

/** Per-layer settings of a config that cannot be brought to the new number of layers. A warning. */
export const layerTypesLeft = (at: Place, key: string, was: number, is: number): Diagnostic =>
  entry('layer-types-left', `\`${key}\` in config.json describes ${was} layers, and the output has ${is}`, {
    at,
    severity: 'warning',
    help: 'edit the list in the output’s config.json so that it describes each layer',
  })

/** A number of layers at the beginning or end of a model, where they are elsewhere in the output. A warning. */
export const layerKindsLeft = (at: Place, key: string): Diagnostic =>
  entry(
    'layer-types-left',
    `\`${key}\` in config.json counts layers at one end of the model, and in the output they are no longer together there`,
    { at, severity: 'warning', help: 'choose slices that keep these layers together at that end' },
  )

/** Layers of several kinds in new places, where a config has nothing that could say which is which. A warning. */
export const layerKindsUnsaid = (at: Place, model: string, layer: number, tensor: string | undefined): Diagnostic =>
  entry(
    'layer-kinds-unsaid',
    `the layers of \`${model}\` are of several kinds, and its config.json has no list that says which is which: ${
      tensor === undefined
        ? `programs may take layer ${layer} of the output for another kind`
        : `layer ${layer} of the output has ${quoteName(tensor)}, where that of the model has none`
    }`,
    {
      at,
      severity: 'warning',
      help: 'choose slices that keep the kinds in their places, and check that the folder loads without missing tensors',
    },
  )

/** Further chat templates in a folder of their own, which are not copied. A warning. */
export const templatesLeft = (at: Place, model: string): Diagnostic =>
  entry('templates-left', `the folder \`additional_chat_templates\` of \`${model}\` is not copied`, {
    at,
    severity: 'warning',
    help: 'copy it into the output if you use its chat templates, or set `chat_template`',
  })

/** Inputs whose cards name different licences. A warning. */
export const licencesDiffer = (at: Place, licences: readonly string[]): Diagnostic =>
  entry('licences-differ', `the models have different licences: ${listNames(licences)}`, {
    at,
    severity: 'warning',
    help: 'read what each allows; the model card of the output names none',
  })

/** The model whose side files are wanted has no folder with a config.json. A warning. */
export const noModelConfig = (at: Place, model: string, path: string): Diagnostic =>
  entry('no-model-config', `there is no config.json beside \`${model}\` (${path}), so the folder gets none`, {
    at,
    severity: 'warning',
    help: 'name a model that has one, such as `files: base`, or copy config.json and the tokenizer into the folder',
  })
