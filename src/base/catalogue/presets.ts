import type { Diagnostic, Place, Range } from '../diagnostic.js'
import { didYouMean } from './did-you-mean.js'
import { entry } from './entry.js'

const text = (range: Range): Place => ({ type: 'text', range })

/** What `presets` needs a file of. */
export const PRESETS_FILE = 'a file of presets'

/** Where a document names the file of presets that a problem lies in. */
export const presetsNamedHere = (at: Range): Diagnostic['related'][number] => ({
  at: text(at),
  message: 'these presets are named here',
})

/** The file of presets was not read: only a recipe that is read from a file has some. */
export const presetsNotRead = (path: string, at: Range): Diagnostic =>
  entry('part-not-read', `the presets \`${path}\` were not read`, {
    at: text(at),
    help: 'read the recipe with `readRecipe`, which reads its presets too',
  })

/** A file under `presets` that is something else. */
export const notPresets = (path: string, at: Range): Diagnostic =>
  entry('not-presets', `\`${path}\` is not a file of presets`, {
    at: text(at),
    help: 'write it as `smelt: 1` and `presets: { NAME: [0, 0.5, …] }`, or run `smelt import FILE -o presets.yaml` on a preset file of supermerger',
  })

/** A file of presets was given where a recipe is built. */
export const isPresets = (at: Range): Diagnostic =>
  entry('is-presets', 'this file holds presets, and nothing to build', {
    at: text(at),
    help: 'build a recipe that names it: `presets: THIS-FILE.yaml`',
  })

/** Two presets of one name. */
export const presetTwice = (name: string, at: Range): Diagnostic =>
  entry('preset-twice', `there are two presets called \`${name}\``, {
    at: text(at),
    help: 'rename one of them, or name one file only',
  })

/** A preset that neither smelt nor the files under `presets` know. */
export const unknownPreset = (name: string, known: readonly string[], at: Range): Diagnostic =>
  entry('unknown-preset', `there is no preset \`${name}\``, {
    at: text(at),
    help:
      didYouMean(name, known) ??
      'write the name of a preset from the files under `presets`, or one that `smelt ops weights.mbw` lists',
  })

/** Block weights that are given twice. */
export const presetAndBlocks = (key: string, at: Range): Diagnostic =>
  entry('two-block-lists', `\`preset\` and \`${key}\` both give every block a number`, {
    at: text(at),
    help: 'remove one of the two',
  })
