import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'
import { inOurWords, type OtherName } from './other-names.js'

const cut = (text: string, most: number): string => `\`${text.length > most ? `${text.slice(0, most)}…` : text}\``
const code = (text: string): string => cut(text, 60)
/** Text to copy as it is; only a path makes it long. */
const sample = (text: string): string => cut(text, 300)

/** The same problem with better advice, and with another message if one is given. */
const advise = (problem: Diagnostic, help: string, message = problem.message): Diagnostic =>
  entry(problem.code, message, {
    at: problem.at,
    related: problem.related,
    severity: problem.severity,
    blame: problem.blame,
    help,
  })

/** What the shares of a merge mean in a recipe, for messages. */
const SHARES = {
  keep: 'the share of the first model, `a`',
  drop: 'the share of the difference that is dropped',
  density: 'the share of the difference that is kept',
} as const

const written = (name: string, number: number | undefined): string =>
  number === undefined ? code(name) : code(`${name}: ${number}`)
const turn = (number: number | undefined): number | undefined =>
  number === undefined ? undefined : Number((1 - number).toPrecision(12))
const meaning = (own: string): string =>
  own in SHARES ? `${code(own)} is ${SHARES[own as keyof typeof SHARES]}` : code(own)

/** A parameter that has another name, and the same meaning, in other programs. */
export const otherWord = (problem: Diagnostic, word: string, own: string, number: number | undefined): Diagnostic =>
  advise(problem, `write ${written(own, number)}, which is what smelt calls ${code(word)}`)

/** A parameter that other programs give as 1 minus smelt's number. */
export const turnedWord = (problem: Diagnostic, word: string, own: string, number: number | undefined): Diagnostic => {
  const other =
    own === 'keep'
      ? 'the share of the second model'
      : own === 'drop'
        ? 'the share that is kept'
        : 'the share that is dropped'
  return advise(
    problem,
    `write ${number === undefined ? `${code(own)} with 1 − ${word} for every number` : written(own, turn(number))}: ${written(word, number)} elsewhere is ${other}, and ${meaning(own)}`,
  )
}

/** A parameter whose number means either of the two, depending on the program. */
export const eitherWord = (problem: Diagnostic, word: string, own: string, number: number | undefined): Diagnostic =>
  advise(
    problem,
    number === undefined
      ? `write ${code(own)}: ${meaning(own)}. In ComfyUI ${code(word)} is that too; where it is the share of the second model, write 1 − ${word}`
      : `write ${written(own, number)} if ${code(word)} is the share of the first model, as in ComfyUI, or ${written(own, turn(number))} if it is that of the second: ${meaning(own)}`,
  )

/** A parameter that other programs have by this name, as the page of the operator explains it. */
export const wordsOfAliases = (
  problem: Diagnostic,
  words: readonly { readonly name: string; readonly from: string; readonly says: string }[],
): Diagnostic =>
  advise(
    problem,
    `${words.map(({ name, from, says }) => `for ${code(name)} of ${from}: ${says}`).join('; ')}; ${code(`smelt ops ${words[0]!.name}`)} shows more`,
  )

/** Numbers in a list, which is how mergekit gives numbers that change over the layers. */
export const listAsGradient = (problem: Diagnostic, key: string, numbers: readonly number[]): Diagnostic =>
  advise(
    problem,
    `write ${sample(`${key}: { gradient: [${numbers.join(', ')}] }`)} for numbers that go evenly from one to the next over the layers, as a list does in mergekit, or one number`,
  )

/** A parameter that belongs to each model of a list. */
export const ofEachModel = (
  problem: Diagnostic,
  key: string,
  models: readonly string[],
  shareOf: (model: number) => number | undefined,
): Diagnostic =>
  advise(
    problem,
    `give it to each model: \`models: [${models
      .slice(0, 2)
      .map((model, i) => `{ model: ${model}, ${key}: ${shareOf(i) ?? '…'} }`)
      .join(', ')}${models.length > 2 ? ', …' : ''}]\``,
    `${code(key)} belongs to each model, not to the whole step`,
  )

/** A key of an output, written in a step. */
export const ofOutput = (problem: Diagnostic, key: string): Diagnostic =>
  advise(
    problem,
    `write ${code(key)} under \`outputs\`, beside the \`path\` of the file`,
    `${code(key)} belongs to an output, not to a step`,
  )

/** Parameters nested in a map, as in mergekit. */
export const withoutNesting = (problem: Diagnostic, key: string, inside: readonly string[]): Diagnostic =>
  advise(
    problem,
    `write ${inside.length === 0 ? 'its keys' : inside.slice(0, 4).map(code).join(', ')} one level higher, in place of ${code(key)}`,
  )

/** A list of models for an operator that takes two. */
export const twoModels = (problem: Diagnostic, op: string, models: readonly string[]): Diagnostic =>
  advise(
    problem,
    models.length > 2
      ? `use \`merge.linear\`, which takes any number of \`models\`; ${code(op)} takes two, \`a\` and \`b\``
      : `write \`a: ${models[0] ?? 'first'}\` and \`b: ${models[1] ?? 'second'}\` in place of \`models\``,
    `${code(op)} takes two models, \`a\` and \`b\`, not a list`,
  )

/** `a` and `b` for an operator that takes a list. */
export const listOfModels = (problem: Diagnostic, op: string, models: readonly string[]): Diagnostic =>
  advise(
    problem,
    `write \`models: [${models.join(', ')}]\``,
    `${code(op)} takes a list of \`models\`, not \`a\` and \`b\``,
  )

/** Advice about keys, rewritten for a command line, where they are options. */
export const asOptions = (problem: Diagnostic): Diagnostic =>
  advise(problem, (problem.help ?? '').replace(/`([a-z_]+): ([^`]+)`/g, '`--$1 $2`'))

/** An operator that has another name in other programs. */
export const otherOperator = (problem: Diagnostic, names: readonly [OtherName, ...OtherName[]]): Diagnostic =>
  advise(problem, `write ${inOurWords(names, (id) => `\`op: ${id}\``)}`)

/** A dtype that has another name in other programs. */
export const otherDtype = (problem: Diagnostic, word: string, own: string): Diagnostic =>
  advise(problem, `write \`${own}\`, which is what smelt calls ${code(word)}`)

/** An operator named without its family. */
export const wholeOperator = (problem: Diagnostic, found: string, names: readonly string[]): Diagnostic =>
  advise(
    problem,
    `write the full name: ${names.map(code).join(' or ')}`,
    `${code(found)} is not the full name of an operator`,
  )

/** A step that names its operator under another key. */
export const opInstead = (problem: Diagnostic, word: string, value: string): Diagnostic =>
  advise(problem, `write \`op: ${value}\` in place of \`${word}: ${value}\``)

/** A step without an operator. */
export const opMissing = (problem: Diagnostic): Diagnostic =>
  advise(problem, 'add `op` with the name of an operator, for example `op: merge.blend`; `smelt ops` lists them all')

/** A mergekit config in place of a recipe; `known` if smelt has its method, by whatever name. */
export const mergekitConfig = (problem: Diagnostic, method: string, known: boolean): Diagnostic =>
  entry('mergekit-config', 'this is a mergekit config, not a smelt recipe', {
    at: problem.at,
    help: `run \`smelt init\` to get a recipe, and write the merge as one of its steps: ${known ? `\`smelt ops ${method}\` shows how` : '`smelt ops` lists the operators'}`,
  })

/** A recipe with nothing in it. */
export const emptyRecipe = (problem: Diagnostic): Diagnostic =>
  advise(
    problem,
    'run `smelt init` in the folder of your models to write one; `--force` replaces a file that is there',
    'the recipe is empty',
  )

/** A list where each entry needs a name; `example` is one entry, correctly written. */
export const namedEntries = (problem: Diagnostic, entry: string, example: string): Diagnostic =>
  advise(problem, `write a map: give each ${entry} a name in place of \`-\`, for example ${sample(example)}`)

/** A path in place of an output. */
export const outputWithPath = (problem: Diagnostic, example: string): Diagnostic =>
  advise(problem, `write ${sample(example)}`)

/** A path where the name of an input belongs; `name` is the name it has or could have. */
export const nameOfPath = (
  problem: Diagnostic,
  block: 'models' | 'adapters',
  path: string,
  name: string,
  declared: boolean,
): Diagnostic =>
  advise(
    problem,
    declared
      ? `write ${code(name)}, its name under ${code(block)}`
      : `declare the file under ${code(block)} as ${sample(`${name}: ${path}`)}, and write ${code(name)} here`,
  )

/** `step/output` in place of a name. */
export const outputOfStep = (problem: Diagnostic, step: string, output: string): Diagnostic =>
  advise(problem, `write ${code(step)}, or ${code(`${step}.${output}`)} if it has an output of that name`)

/** An empty list of models. */
export const someModels = (problem: Diagnostic, key: string, models: readonly string[]): Diagnostic =>
  advise(problem, `write the names of models: ${sample(`${key}: [${models.join(', ')}]`)}`)
