import type { Diagnostic } from '../diagnostic.js'
import { didYouMean } from './did-you-mean.js'
import { entry } from './entry.js'
import { inOurWords, type OtherName } from './other-names.js'

const option = (name: string) => ({ at: { type: 'option', name }, blame: 'usage' }) as const

/** A bug in smelt; `details` is what the program knows about it. */
export const bug = (details: string): Diagnostic =>
  entry('bug', `internal error: ${details}`, {
    blame: 'run',
    help: 'please report it, with the recipe; outputs under their final names are complete',
  })

/** A wrong command line; `message` is the parser's own. */
export const commandLine = (message: string, command: string, advice?: string): Diagnostic =>
  entry('command-line', message, {
    blame: 'usage',
    help:
      advice?.endsWith('?') === true
        ? advice
        : `${advice === undefined ? '' : `${advice}; `}run \`${command} --help\` for its options`,
  })

/** Advice on what to type instead. */
export const commandAdvice = {
  meant: (names: readonly string[]): string => `did you mean ${names.map((name) => `\`${name}\``).join(' or ')}?`,
  usualRecipe: (recipe: string, command: string): string =>
    `pass ${recipe}, which is in this folder: \`smelt ${command} ${recipe}\``,
  write: (text: string): string => `write \`${text}\``,
} as const

/** An unknown device. */
export const deviceUnknown = (device: string): Diagnostic =>
  entry('device-unknown', `unknown device \`${device}\``, {
    ...option('--device'),
    help: 'use auto, cpu, cuda, cuda:1 for the second graphics card, or webgpu; `smelt doctor` shows which this machine has',
  })

/** An unknown engine. */
export const engineUnknown = (engine: string): Diagnostic =>
  entry('engine-unknown', `unknown engine \`${engine}\``, {
    ...option('--engine'),
    help: 'use compiled, which is faster, or onnx; both write the same bytes',
  })

/** The folder for a recipe cannot be created. */
export const folderNotMade = (folder: string): Diagnostic =>
  entry(
    'folder-not-made',
    `cannot create the folder ${folder}: the folder above it is missing, or a file is in the way`,
    {
      at: { type: 'file', path: folder },
      help: 'name a folder that exists, or a new one in it',
    },
  )

/** The folder has no model to write a recipe for. */
export const noModelsHere = (folder: string): Diagnostic =>
  entry('no-models-here', `${folder} contains no model, so the recipe is an example`, {
    severity: 'warning',
    help: 'put two safetensors files of one architecture there, then change the paths or run `smelt init --force`',
  })

/** Writing to standard output failed. */
export const outputLost = (reason: string): Diagnostic =>
  entry('output-lost', `the output of this command could not be written: ${reason}`, {
    blame: 'retry',
    help: 'free some space, or write it somewhere else',
  })

/** `smelt init` would overwrite a recipe. */
export const recipeExists = (path: string): Diagnostic =>
  entry('recipe-exists', `${path} already exists`, {
    at: { type: 'file', path },
    help: 'pass `--force` to replace it, or name another folder',
  })

/** Something that every build needs does not work on this machine. */
const runtimeBroken = (part: string, reason: string, help: string): Diagnostic =>
  entry('runtime-broken', `${part} does not work here: ${reason}`, { blame: 'run', help })

/** The WebAssembly module does not load, or computes wrong results. */
export const kernelsBroken = (reason: string): Diagnostic =>
  runtimeBroken(
    'the WebAssembly module',
    reason,
    'build or install smelt again; its folder must hold `dist/kernels/kernels.wasm` and `dist/kernels/fused.wasm`',
  )

/** Node.js is too old. */
export const nodeTooOld = (version: string, needed: string): Diagnostic =>
  runtimeBroken('node', `version ${version} is older than ${needed}`, 'install a newer Node.js')

/** ONNX Runtime does not load, or computes wrong results. */
export const onnxruntimeBroken = (reason: string): Diagnostic =>
  runtimeBroken('onnxruntime', reason, 'run `npm install` again in the folder of smelt, for this platform')

/** `--set` without a name or a value. */
export const setMalformed = (text: string): Diagnostic =>
  entry(
    'set-malformed',
    `\`--set ${text}\` has no ${text.startsWith('=') ? 'name' : '`=`'}: \`--set\` needs name=value`,
    {
      ...option('--set'),
      help: 'write `--set name=value`, for example `--set keep=0.7`',
    },
  )

/** The user asked the build to stop. */
export const stopping = (): Diagnostic =>
  entry('stopping', 'stopping after this chunk', {
    severity: 'warning',
    blame: 'run',
    help: 'interrupt again to stop at once',
  })

/** An unknown operator; `known` are names to suggest, and `elsewhere` what other programs have by this one. */
export const unknownOperator = (
  name: string,
  known: Iterable<string>,
  elsewhere?: readonly [OtherName, ...OtherName[]],
): Diagnostic =>
  entry('unknown-operator', `unknown operator \`${name}\``, {
    ...option(name),
    help:
      elsewhere === undefined
        ? (didYouMean(name, known) ?? 'run `smelt ops` to list them, or `smelt ops --search WORDS` to search them')
        : `use ${inOurWords(elsewhere, (id) => `\`${id}\``)}`,
  })

/** A method of another tool that smelt does not have; `why` continues a sentence about it. */
export const absentMethod = (name: string, tool: string, why: string): Diagnostic =>
  entry('absent-method', `smelt does not have \`${name}\` of ${tool}: it ${why}`, {
    ...option(name),
    help: 'run `smelt ops --search WORDS` to find what comes near',
  })

/** A search for operators that finds none. */
export const noOperatorFound = (query: string): Diagnostic =>
  entry('no-operator-found', `no operator has \`${query}\` in its name or description`, {
    ...option('--search'),
    help: 'search for other words, or run `smelt ops` to list all operators',
  })

/** A number of workers outside the limits. */
export const workersOutOfRange = (text: string, least: number, most: number): Diagnostic =>
  entry('workers-out-of-range', `\`--workers ${text}\` is not a whole number from ${least} to ${most}`, {
    ...option('--workers'),
    help: 'leave it out to use one worker per core',
  })

/** The cache could not be cleared. */
export const cacheLeft = (folder: string, reason: string): Diagnostic =>
  entry('cache-left', `could not remove everything in ${folder}: ${reason}`, {
    blame: 'run',
    help: 'check the permissions of the folder, or delete it yourself: it holds only a cache',
  })

/** `smelt why` got a name that is not a step. */
export const noSuchStep = (name: string, steps: readonly string[], similar: string | undefined): Diagnostic =>
  entry('no-such-step', `this recipe has no step \`${name}\``, {
    blame: 'usage',
    help: similar ?? `ask about one of ${steps.map((s) => `\`${s}\``).join(', ')}`,
  })
