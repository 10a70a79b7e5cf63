import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command, CommanderError } from 'commander'
import { commandAdvice as say } from '../base/catalogue/cli.js'
import { nearest } from '../base/suggest.js'

/** Names that users of other programs try for `smelt build`. */
const BUILD_WORDS = ['merge', 'mix', 'make']

/** Options of other programs, or of other commands, and the equivalent here. */
const OTHER_OPTIONS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  build: { '--dry-run': 'smelt plan RECIPE', '--output': '--out FOLDER' },
  diff: { '--report': '--html FILE', '--out': '--html FILE', '--output': '--html FILE' },
}

/** The usual name of a recipe, which `smelt init` uses. */
const USUAL = 'recipe.yaml'

/** `--set` before a name, a value and perhaps an equals sign that stand apart. */
const setApart = (args: readonly string[]): string | undefined => {
  const at = args.indexOf('--set')
  const [name, ...rest] = at === -1 ? [] : args.slice(at + 1)
  const value = rest[0] === '=' ? rest[1] : rest[0]
  if (name === undefined || value === undefined || !/^[A-Za-z][\w-]*=?$/.test(name)) return undefined
  return `--set ${name.replace('=', '')}=${value.replace(/^=/, '')}`
}

/**
 * Advice on a parse error: the name that was meant, a recipe without a command, or a missing argument. `cwd` is
 * searched for a recipe.
 */
export const adviceOn = (
  program: Command,
  { code, message }: CommanderError,
  args: readonly string[],
  cwd: string,
): string | undefined => {
  const [, meant] = /\(Did you mean (?:one of )?(.+)\?\)/.exec(message) ?? []
  if (meant !== undefined) return say.meant(meant.split(', '))
  const passed = args.find((arg) => /\.(?:ya?ml|json)$/i.test(arg))
  const here = existsSync(join(cwd, USUAL)) ? USUAL : undefined
  const recipe = passed ?? here ?? 'RECIPE'
  const first = args.find((arg) => !arg.startsWith('-'))
  if (code === 'commander.unknownCommand')
    return passed !== undefined || nearest(first ?? '', BUILD_WORDS).length > 0
      ? say.write(`smelt build ${recipe}`)
      : undefined
  const command = program.commands.find((c) => c.name() === first)
  if (command === undefined) return undefined
  if (code === 'commander.unknownOption') {
    const [, option = ''] = /'(--?[\w-]+)/.exec(message) ?? []
    const own = OTHER_OPTIONS[command.name()]?.[option]
    const at = args.findIndex((arg) => arg === option || arg.startsWith(`${option}=`))
    const value = args[at]!.split('=')[1] ?? args[at + 1] ?? '-'
    const file = value.startsWith('-') ? 'FILE' : value
    return own === undefined ? undefined : say.write(own.replace('RECIPE', recipe).replace('FILE', file))
  }
  if (code === 'commander.excessArguments') {
    const set = setApart(args)
    return set === undefined ? undefined : say.write(set)
  }
  if (code !== 'commander.missingArgument') return undefined
  const takesRecipe = /^recipes?$/.test(command.registeredArguments[0]?.name() ?? '')
  return takesRecipe && here !== undefined
    ? say.usualRecipe(here, command.name())
    : say.write(`smelt ${command.name()} ${command.usage().replace('[options] ', '')}`)
}
