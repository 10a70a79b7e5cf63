import type { Diagnostic } from '../base/diagnostic.js'
import type { Digest } from '../base/digest.js'
import type { Mask, Measure, Tensor } from '../graph/expression.js'
import type { Sweeps } from '../graph/passes.js'
import type { Program } from '../graph/program.js'
import type { ReportFormat } from '../operators/report-document.js'
import type { Kind, ReportValue, Space } from '../operators/value.js'
import type { InputKind, Recipe, Step } from '../recipe/recipe.js'
import type { FileIdentity } from '../safetensors/open.js'
import type { Dtype } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'
import type { View } from '../tensor/view.js'
import type { LockVersion } from '../store/lock.js'
import type { StoredOutcome } from '../store/outcomes.js'
import type { Fingerprints, Identify } from './fingerprint.js'
import type { OpenedInputs } from './inputs.js'
import type { KeptMask, PlannedMasks } from './masks.js'
import type { PlannedSolve } from './scratch.js'
import type { PlannedVocabulary } from './vocabulary.js'

/** One file to write: its whole header, and how long it will be. */
export interface PlannedFile {
  /** Absolute final path. */
  readonly path: string
  readonly header: Uint8Array
  readonly bytes: number
}

/** A small file whose bytes are known before anything is computed. */
export interface WholeFile {
  /** Absolute final path. */
  readonly path: string
  readonly bytes: Uint8Array
}

/** What a header says that is known only once everything is computed. */
export interface HeaderFacts {
  /** The digest of the build in the lock. */
  readonly lock: Digest
  /** The content digest of a model or adapter, by its name in the recipe. */
  input(name: string): Digest
}

/** One output of the recipe: one file, or several shards and their index. */
export interface PlannedOutput {
  readonly name: string
  /** The path as a person would write it, for messages and tables. */
  readonly label: string
  readonly files: readonly PlannedFile[]
  /** The index of a sharded output, written after its shards. */
  readonly index: WholeFile | undefined
  /** What belongs to it, where it is a folder: config, tokenizer, model card; the config last. */
  readonly sides: readonly WholeFile[]
  readonly tensors: readonly { readonly name: string; readonly dtype: Dtype; readonly shape: readonly number[] }[]
  /** How many tensors the first model stores with scales and this output without. */
  readonly unscaled: number
  /** The step or input that it holds. */
  readonly from: string
  /** Which setting of the params it belongs to. */
  readonly setting: number
  /** The headers of `files`, of the same lengths, with what is known only once everything is computed. */
  finalizeHeader(facts: HeaderFacts): readonly Uint8Array[]
  /** The content digest of the existing output, if it is up to date: then it is not written. */
  readonly kept: Digest | undefined
}

/** One report to write, once its figures are known. */
export interface PlannedReport {
  readonly name: string
  /** The path as a person would write it. */
  readonly label: string
  /** Absolute final path. */
  readonly path: string
  readonly format: ReportFormat
  readonly step: string
  readonly value: ReportValue
  readonly setting: number
  /** True if the existing file is up to date. */
  readonly kept: boolean
}

/** Where the elements of a tensor go and who computed them. */
export interface Target {
  readonly output: number
  readonly tensor: string
  readonly path: string
  /** Byte offset of element 0 in the file. */
  readonly begin: number
  readonly elements: number
  readonly dtype: Dtype
  readonly step: string
  /** What the operator of the step says of NaN and infinities. */
  readonly advice?: string | undefined
  readonly allowNonFinite: boolean
  readonly value: Tensor | Mask
}

/**
 * A tensor that is copied byte for byte from an input or an earlier output, or is already in place in an unfinished
 * file of an earlier run.
 */
export interface Copy {
  /** Undefined: the bytes are there already and are only checked. */
  readonly from: View | undefined
  readonly to: Target
  /** What the bytes must be; undefined for the bytes of an input, which may be any. */
  readonly expect: Digest | undefined
}

/** All work on tensors of one name and size: copies, and roots computed together so that nothing is computed twice. */
export interface Job {
  readonly tensor: string
  readonly size: number
  /** The step named in errors that have no target, unless `askers` has another for the measure. */
  readonly step: string
  /** By the id of a measure, the step that asked for it, where it is another one. */
  readonly askers?: ReadonlyMap<number, string>
  readonly copies: readonly Copy[]
  /** The first roots of `sweeps`, in its order. */
  readonly targets: readonly Target[]
  /** The roots after them: masks whose bits are cached. */
  readonly kept: readonly KeptMask[]
  readonly sweeps: Sweeps | undefined
  /** What a solver makes of whole tensors: then there is nothing else. */
  readonly solve: PlannedSolve | undefined
}

/** One step of the plan, as it is printed. */
export interface PlannedStep {
  /** Its name, with the setting of the params where there are several of it. */
  readonly name: string
  /** Its name in the recipe, and the first setting that has it. */
  readonly step: string
  readonly setting: number
  readonly op: string
  readonly kind: Kind
  readonly space: Space | undefined
  /** Steps and models it uses. */
  readonly uses: readonly string[]
  /** Why it runs: the steps and outputs that use it. */
  readonly wantedBy: readonly string[]
  readonly tensors: number
  /** How many tensors were merged, kept, missing, … */
  readonly counts: Readonly<Record<string, number>>
  /** Outputs for which it computes something; empty if all of its results are reused. */
  readonly neededBy: readonly string[]
}

/** All the work of a build, decided before any of it runs. */
export interface Plan {
  readonly name: string
  readonly seed: number | string
  readonly steps: readonly PlannedStep[]
  /** Steps that nothing uses, which are not run. */
  readonly unused: readonly string[]
  readonly outputs: readonly PlannedOutput[]
  /** For each output its tensors in the order of their bytes, those without elements too. */
  readonly targets: readonly (readonly Target[])[]
  readonly reports: readonly PlannedReport[]
  readonly jobs: readonly Job[]
  /** How many jobs each of them stands for: 1, unless the plan is only to be shown. */
  standsFor(job: Job): number
  /** Programs, each distinct structure once. */
  readonly programs: readonly Program[]
  readonly models: readonly PlannedModel[]
  readonly settings: readonly PlannedSetting[]
  /** Tensors of inputs that no job reads and whose digests are not known: they are read once, for the lock. */
  readonly undigested: readonly TensorInfo[]
  /** The digest of an input's tensor, if it is known beforehand. */
  digestOf(tensor: TensorInfo): Digest | undefined
  /** The version of the lock that is written, or of the frozen one. */
  readonly lock: LockVersion
  /** Known results of measures, by their expressions. */
  readonly outcomes: ReadonlyMap<Measure, StoredOutcome>
  readonly masks: PlannedMasks
  /** Bytes of the results of solvers, which stand in a scratch file until the build ends. */
  readonly scratchBytes: number
  /** What a name of the recipe is called under a setting of the params. */
  nameOf(setting: number, name: string): string
  /** The steps whose work a tensor of an output is, by the names of the plan. */
  stepsOf(target: Target): readonly string[]
  /** Which share of a job's work each step has, by the names of the plan. */
  sharesOf(job: Job): ReadonlyMap<string, number>
  /** Fingerprints with another way to identify stored tensors. */
  fingerprints(identify: Identify): Fingerprints
  /** The unfinished files of an earlier run that this one resumes, by final path. */
  readonly resumed: ReadonlyMap<string, string>
  /** The final paths where a file exists before the run. */
  readonly existing: ReadonlySet<string>
  readonly totals: Totals
  /** Steps for which something has to be measured first: what the plan says of them is provisional, and it is not run. */
  readonly unanswered: readonly string[]
  readonly warnings: readonly Diagnostic[]
}

/** One combination of the recipe's params, as recorded in the lock. */
export interface PlannedSetting {
  readonly label: string
  readonly recipe: Recipe
  /** The steps that are run, in order. */
  readonly steps: readonly Step[]
  readonly inputs: OpenedInputs
  readonly vocabulary?: PlannedVocabulary | undefined
}

/** One input: a model or an adapter. */
export interface PlannedModel {
  readonly kind: InputKind
  readonly name: string
  readonly label: string
  /** Absolute: the safetensors file, or the index of a sharded model. */
  readonly path: string
  readonly architecture: string | undefined
  readonly tensors: number
  readonly bytes: number
  /** The files with its tensors, then others that describe it. */
  readonly files: readonly InputFile[]
  /** Paths where files that describe it were looked for and not found; a run fails if one has appeared since. */
  readonly absent: readonly string[]
  /** True where it is on a hub and not on this machine: the plan knows its headers, and cannot be run. */
  readonly isRemote: boolean
}

/** A file as it was when its header was read; a run fails when it has changed since. */
export interface InputFile extends FileIdentity {
  readonly path: string
}

/** What the plan costs. */
export interface Totals {
  readonly tensors: number
  readonly copied: number
  readonly computed: number
  /** Tensors reused from an earlier output or an unfinished one, and those of outputs that are up to date. */
  readonly reused: number
  /** Measures known from earlier builds, which save passes. */
  readonly cached: number
  /** Bytes read, counting every pass. */
  readonly readBytes: number
  /** Bytes of unused inputs, which are read once to hash them for the lock. */
  readonly digestBytes: number
  readonly writeBytes: number
  /** Model tensors whose bytes are not needed: weights of 0, masks that exclude, `keep: 1`. */
  readonly skippedBytes: number
  /** Elementwise operations over all passes, for estimating the cost. */
  readonly operations: number
}
