import type { Diagnostic } from '../diagnostic.js'
import { escapeControls } from '../excerpt.js'
import { entry } from './entry.js'
import { listNames, quoteName } from './file-entry.js'

/** What `smelt import` reads, for messages. */
const READABLE =
  'ComfyUI workflows (JSON, PNG, WebP, or the metadata of a safetensors file), mergekit configurations, sd-mecha recipes, and what the AUTOMATIC1111 web UI and supermerger write (also `mbwpresets.txt`)'

/** What the file of `smelt import` should be. */
export const importableFile = 'a file to import'

/** A path that a recipe cannot hold. */
export const pathHasDollar =
  'its path contains `$`, which begins the name of a param in a recipe; rename the file, and write its new path'

/** More than one file has the name that a recipe refers to. */
export const severalFiles = (name: string, path: string, others: readonly string[]): string =>
  `several files are called ${quoteName(name)}: the recipe uses ${quoteName(path)}, not ${listNames(others, 3)}`

/** A file has the name that a recipe refers to, and is in a folder of another name. */
export const otherFolder = (reference: string, path: string): string =>
  `nothing is called ${quoteName(reference)}; the recipe uses ${quoteName(path)}, which has only its last name: check that it is the same model`

/** The first comment line of an imported recipe. */
export const importedFrom = (file: string, tool: string): string => `Imported from ${file} (${tool}).`

/** The comment above the differences of an imported recipe. */
export const differsHeading = 'What differs:'

/** One line of the list of differences. */
export const differsLine = (where: string, text: string): string => `- ${where}: ${text}`

/** The comment above what an imported recipe lacks. */
export const lacksHeading = (isRecipe: boolean): string =>
  `Not in this ${isRecipe ? 'recipe' : 'file'}, because smelt cannot say it:`

/** One line of the list of what an imported recipe lacks. */
export const lacksLine = (where: string, what: string, why: string): string => `- ${where}: ${what}: ${why}`

/** A file of a known format with nothing in it. */
export const emptyFile = { where: 'the file', what: 'nothing to merge', why: 'it has the format, and no entry in it' }

/** A file that no importer reads, by why. */
export const notImportable = (path: string, why: 'binary' | 'large' | 'unknown' | 'no-metadata'): Diagnostic => {
  const what = {
    binary: `${path} is neither text, nor a PNG or WebP, nor a safetensors file`,
    large: `${path} is larger than 64 MB`,
    unknown: `${path} is not in a format that smelt can import`,
    'no-metadata': `the metadata of ${path} does not say how it was made`,
  }[why]
  return entry('not-importable', what, { at: { type: 'file', path }, help: `pass one of these: ${READABLE}` })
}

/** A difference between the other tool and the imported recipe. */
export const importDiffers = (where: string, text: string): Diagnostic =>
  entry('import-differs', escapeControls(`${where}: ${text}`), { severity: 'warning' })

/** Something that the imported recipe lacks; an error where there is no recipe without it. */
export const importLacks = (where: string, what: string, why: string, recipe: boolean): Diagnostic =>
  entry('import-lacks', escapeControls(`${where}: ${what}: ${why}`), { severity: recipe ? 'warning' : 'error' })

/** Nothing that could be built is left of a file. */
export const nothingImported = (path: string): Diagnostic =>
  entry('nothing-imported', `${path} describes no model that smelt can make`, {
    help: 'the messages above say what is in the way',
  })

/** `--models` is neither a folder nor ComfyUI's list of them. */
export const modelsNotFolder = (folder: string): Diagnostic =>
  entry(
    'models-not-folder',
    `${folder} is not a folder, and no \`extra_model_paths.yaml\` that names any that are there`,
    {
      at: { type: 'option', name: '--models' },
      blame: 'usage',
      help: 'pass the folder in which your models are: `--models ~/ComfyUI/models`',
    },
  )

/** `smelt import` would overwrite a file. */
export const importExists = (path: string): Diagnostic =>
  entry('recipe-exists', `${path} already exists`, {
    at: { type: 'file', path },
    help: 'pass `--force` to replace it, or another name with `-o`',
  })

/** The recipe would be written under the name of something else. */
export const importNotYaml = (path: string): Diagnostic =>
  entry('import-not-yaml', `${path} is no name for a recipe`, {
    at: { type: 'option', name: '--output' },
    blame: 'usage',
    help: 'end it in .yaml: `-o recipe.yaml`',
  })

/** The recipe would replace the file it is made from. */
export const importOntoItself = (path: string): Diagnostic =>
  entry('import-onto-itself', `the recipe would replace ${path}, from which it is made`, {
    at: { type: 'option', name: '--output' },
    blame: 'usage',
    help: 'choose another name: `-o recipe.yaml`',
  })
