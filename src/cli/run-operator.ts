import { join } from 'node:path'
import {
  leftOverFiles,
  tooFewFiles,
  noSuchOption,
  optionTwice,
  outputMissing,
  valueMissing,
} from '../base/catalogue/one-off.js'
import { unknownOperator } from '../base/catalogue/cli.js'
import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { escapeJson } from '../base/excerpt.js'
import { didYouMean } from '../base/catalogue/did-you-mean.js'
import { readDocument } from '../document/read.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Operator } from '../operators/operator.js'
import { findOperator, operators } from '../operators/index.js'
import { sharedKeys } from '../operators/schema.js'
import { adviseOption, operatorLike } from '../recipe/advice.js'
import { renderOneOff } from '../recipe/one-off.js'
import { buildOnce, type BuildFlags } from './build.js'
import type { Console } from './console.js'

/** What `smelt run` takes besides the operator, its files and its keys. */
export interface RunFlags extends Pick<BuildFlags, 'device' | 'workers' | 'json' | 'quiet' | 'dashboard'> {
  readonly output?: string
  readonly dtype?: string
  readonly shardSize?: string
  /** Prints the recipe and builds nothing. */
  readonly print?: boolean
}

/** Keys that a step of an operator may have. */
const keysOf = (operator: Operator): readonly string[] => [
  ...Object.keys(operator.inputs),
  ...Object.keys(operator.params),
  ...sharedKeys(operator),
  ...Object.values(operator.inputs).flatMap((spec) =>
    spec.type === 'model' && spec.many ? Object.keys(spec.each) : [],
  ),
]

/** A value as YAML on one line: as it was typed where that is a value, else as a text. */
const toYaml = (text: string): string => {
  const read = /[\r\n]/.test(text) ? undefined : readDocument({ path: '', text: `x: ${text}` })
  const value =
    read?.type === 'ok' &&
    read.value.type === 'map' &&
    read.value.entries.size === 1 &&
    read.value.entries.get('x')?.value.type !== 'null'
  return value ? text : escapeJson(JSON.stringify(text))
}

/** Sorts the words behind an operator: files, and values by key (`--keep 0.6`, `--keep=0.6`; a switch stands alone). */
const sortWords = (
  operator: Operator,
  words: readonly string[],
): Result<{ readonly files: readonly string[]; readonly values: Readonly<Record<string, string>> }> => {
  const keys = keysOf(operator)
  const [files, values]: [string[], Record<string, string>] = [[], {}]
  const problems: Diagnostic[] = []
  for (let i = 0; i < words.length; i++) {
    const [, option, given] = /^--([^=]+)(?:=(.*))?$/s.exec(words[i]!) ?? []
    if (option === undefined) {
      files.push(words[i]!)
      continue
    }
    const key = option.replaceAll('-', '_')
    if (!keys.includes(key)) {
      problems.push(
        adviseOption(
          noSuchOption(option, operator.id, keys, didYouMean(key, keys)),
          operator,
          key,
          given ?? words[i + 1],
        ),
      )
      if (given === undefined && words[i + 1]?.startsWith('--') === false) i++
      continue
    }
    const next = words[i + 1]?.startsWith('--') === true ? undefined : words[i + 1]
    const spec = operator.params[key]
    const isSwitch =
      spec?.type === 'boolean'
        ? next === undefined || !/^(true|false)$/.test(next)
        : spec?.type === 'choice' && 'true' in spec.choices && next === undefined
    const value = given ?? (isSwitch ? 'true' : next)
    if (value === undefined) problems.push(valueMissing(option))
    else if (Object.hasOwn(values, key)) problems.push(optionTwice(option))
    else values[key] = operator.inputs[key] === undefined ? toYaml(value) : value
    if (given === undefined && !isSwitch) i++
  }
  return problems.length > 0 ? failed(...problems) : ok({ files, values })
}

const onlyOne = (found: readonly Operator[]): Operator | undefined => (found.length === 1 ? found[0] : undefined)

/** `smelt run`: one operator over files, without a recipe; `--print` shows the recipe it stands for. */
export const runOperator = async (
  console: Console,
  id: string,
  words: readonly string[],
  flags: RunFlags,
): Promise<number> => {
  const refuse = (...diagnostics: readonly Diagnostic[]): number => {
    console.tell(diagnostics)
    return exitCode(diagnostics)
  }
  const operator = findOperator(id) ?? onlyOne(operators.filter((o) => o.id.endsWith(`.${id}`)))
  if (operator === undefined)
    return refuse(
      unknownOperator(
        id,
        operators.map((o) => o.id),
        operatorLike(id),
      ),
    )
  const sorted = sortWords(operator, words)
  if (sorted.type === 'failed') return refuse(...sorted.diagnostics)
  if (flags.output === undefined && flags.print !== true) return refuse(outputMissing(operator.id))
  const { files, values } = sorted.value
  /** A step whose subject is the dtype takes the option that others leave to the output. */
  const ofStep = flags.dtype !== undefined && Object.hasOwn(operator.params, 'dtype')
  const { text, unused, lacking } = renderOneOff({
    operator,
    files,
    values: ofStep ? { ...values, dtype: toYaml(flags.dtype) } : values,
    output: flags.output ?? (operator.output === 'report' ? 'report.html' : 'out.safetensors'),
    dtype: ofStep ? undefined : flags.dtype,
    shardSize: flags.shardSize,
  })
  if (unused.length > 0) return refuse(leftOverFiles(operator.id, unused))
  if (lacking.length > 0) return refuse(tooFewFiles(operator.id, files.length, lacking))
  if (flags.print === true) {
    console.out(text)
    return 0
  }
  const { device, workers, json, quiet, dashboard } = flags
  const build: BuildFlags = {
    set: [],
    device,
    ...(workers === undefined ? {} : { workers }),
    ...(json === undefined ? {} : { json }),
    ...(quiet === undefined ? {} : { quiet }),
    ...(dashboard === undefined ? {} : { dashboard }),
  }
  return (await buildOnce(console, { path: join(console.cwd, 'command line'), text }, build)).code
}
