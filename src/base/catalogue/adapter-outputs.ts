import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { listNames, quoteName } from './file-entry.js'

/** An adapter whose modules do not have PEFT's names is to be written as a folder. */
export const adapterFolderNames = (at: Place, path: string): Diagnostic =>
  entry(
    'adapter-folder',
    `${quoteName(path)} is a folder, and only adapters with the names of PEFT are written as folders`,
    {
      at,
      help: 'give the step `names: peft`, or write a file: end the path in `.safetensors`',
    },
  )

/** A PEFT adapter whose scale is not 1 is to be written without its config. */
export const adapterNeedsFolder = (at: Place, path: string): Diagnostic =>
  entry(
    'adapter-folder',
    `${quoteName(path)} has no room for the \`adapter_config.json\` that holds the scale of this adapter`,
    {
      at,
      help: 'end the path with `/` to write a folder with the config, such as `path: build/lora/`',
    },
  )

/** `files` for a folder of an adapter. */
export const filesOfAdapter = (at: Place, path: string): Diagnostic =>
  entry('files-of-adapter', `${quoteName(path)} is the folder of an adapter, which gets no files of a model`, {
    at,
    help: 'leave `files` out',
  })

/** Modules of an adapter that cannot be renamed. */
interface UnnamedModules {
  readonly unnamed: readonly string[]
  /** Those of them that have a name, in a format that holds no differences. */
  readonly differing: readonly string[]
}

const countModules = (count: number): string => (count === 1 ? '1 module' : `${count} modules`)

const why = ({ unnamed, differing }: UnnamedModules, format: string): string => {
  const nameless = unnamed.filter((name) => !differing.includes(name))
  return [
    ...(nameless.length === 0 ? [] : [`no name of ${format} for ${listNames(nameless)}`]),
    ...(differing.length === 0
      ? []
      : [`no place with names of ${format} for the differences of ${listNames(differing)}`]),
  ].join(', and ')
}

/** Modules of an adapter that have no name in another format, or no place there. */
export const modulesUnnamed = (at: Place, adapter: string, modules: UnnamedModules, format: string): Diagnostic =>
  entry(
    'modules-unnamed',
    `cannot rename ${countModules(modules.unnamed.length)} of ${adapter}: ${why(modules, format)}`,
    {
      at,
      help: `choose other \`names\` (${format === 'peft' ? '`kohya` and `diffusers` have them for text encoders of pipelines, too' : '`peft` has one for every weight, also of language models'}), or apply the adapter with \`adapter.apply\` and make a LoRA of the result with \`adapter.extract\`; \`unmatched: ignore\` leaves these modules out, and the result then lacks what they were trained for`,
    },
  )

/** Modules that are left out of a converted adapter, which the recipe says to do. */
export const modulesLeftOut = (at: Place, adapter: string, modules: UnnamedModules, format: string): Diagnostic =>
  entry(
    'adapter-ignored',
    `leaving out ${countModules(modules.unnamed.length)} of ${adapter}: ${why(modules, format)}`,
    {
      at,
      severity: 'warning',
      help: 'check that the result can do without them: it lacks what they were trained for',
    },
  )

/** A method that chooses ranks lacks its number. */
export const amountMissing = (at: Place, method: string): Diagnostic =>
  entry('amount-missing', `\`method: ${method}\` needs a number`, {
    at,
    help: `give it as \`amount\`, such as \`amount: ${method === 'threshold' ? '0.05' : '0.9'}\``,
  })

/** A share of more than all. */
export const amountNoShare = (at: Place, method: string, amount: number): Diagnostic =>
  entry('amount-no-share', `the \`amount\` of \`method: ${method}\` is a share, and ${amount} is more than all`, {
    at,
    help:
      method === 'ratio'
        ? `write what part of the strongest direction is still kept: \`amount: ${Number((1 / amount).toPrecision(3))}\` for ${amount} of kohya’s \`sv_ratio\``
        : `write it from 0 to 1${amount <= 100 ? `: \`amount: ${Number((amount / 100).toPrecision(3))}\` is ${amount} %` : ''}`,
  })

/** A number for a method that is not given. */
export const amountUnused = (at: Place, methods: readonly string[]): Diagnostic =>
  entry('amount-unused', '`amount` belongs to a `method`, and the step has none', {
    at,
    help: `choose one of ${listNames(methods)}, or leave \`amount\` out`,
  })
