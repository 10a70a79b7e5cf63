import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'

const usage = { blame: 'usage' } as const
const list = (names: readonly string[]): string => names.map((n) => `\`${n}\``).join(', ')

/** More files than the operator takes. */
export const leftOverFiles = (operator: string, files: readonly string[]): Diagnostic =>
  entry('left-over-files', `\`${operator}\` has no input for ${list(files)}`, {
    ...usage,
    help: `leave out the extra files; \`smelt ops ${operator}\` lists the inputs`,
  })

/** Fewer files than an operator has inputs. */
export const tooFewFiles = (operator: string, given: number, lacking: readonly string[]): Diagnostic =>
  entry(
    'too-few-files',
    `\`${operator}\` got ${given} ${given === 1 ? 'file' : 'files'}, and none for ${list(lacking)}`,
    {
      ...usage,
      help: `add ${lacking.length === 1 ? 'a file' : `${lacking.length} files`} to the command; \`smelt ops ${operator}\` lists the inputs`,
    },
  )

/** An option that is neither the command's nor a key of the operator. */
export const noSuchOption = (
  option: string,
  operator: string,
  keys: readonly string[],
  near: string | undefined,
): Diagnostic =>
  entry('no-such-option', `\`${operator}\` has no parameter \`${option}\``, {
    ...usage,
    help: near ?? `use one of ${list(keys.map((k) => `--${k}`))}`,
  })

/** No output path was given. */
export const outputMissing = (operator: string): Diagnostic =>
  entry('output-missing', `\`smelt run ${operator}\` has no output path`, {
    ...usage,
    help: 'add `-o OUT.safetensors`, or `--print` to see the recipe',
  })

/** An option that is given twice; a parameter of each model takes its values in one. */
export const optionTwice = (option: string): Diagnostic =>
  entry('option-twice', `\`--${option}\` is given twice`, {
    ...usage,
    help: `pass it once; to give each model a value, separate them with commas: \`--${option} 1,3\``,
  })

/** An option without its value. */
export const valueMissing = (option: string): Diagnostic =>
  entry('value-missing', `\`--${option}\` needs a value`, {
    ...usage,
    help: `write it after the option: \`--${option} VALUE\``,
  })
