import type { Diagnostic } from '../base/diagnostic.js'
import type { Sweeps } from '../graph/passes.js'
import type { Program } from '../graph/program.js'
import type { ReportFormat } from '../operators/report-document.js'
import type { Kind, ReportValue, Space } from '../operators/value.js'
import type { Dtype } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'

/** One file to write: its whole header, and how long it will be. */
export interface PlannedFile {
  /** Absolute final path. */
  readonly path: string
  readonly header: Uint8Array
  readonly bytes: number
}

/** One output of the recipe: one file, or several shards and their index. */
export interface PlannedOutput {
  readonly name: string
  /** The path as a person would write it, for messages and tables. */
  readonly label: string
  readonly files: readonly PlannedFile[]
  /** The index of a sharded output, written after its shards. */
  readonly index: { readonly path: string; readonly bytes: Uint8Array } | undefined
  readonly tensors: readonly { readonly name: string; readonly dtype: Dtype; readonly shape: readonly number[] }[]
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
  readonly measured: ReportValue['measured']
  readonly draw: ReportValue['draw']
}

/** Where the elements of a tensor go and who computed them. */
export interface Target {
  readonly output: number
  readonly tensor: string
  readonly path: string
  /** Byte offset of element 0 in the file. */
  readonly begin: number
  readonly dtype: Dtype
  readonly step: string
  readonly allowNonFinite: boolean
}

/** All work on tensors of one name and size: copies, and roots computed together so that nothing is computed twice. */
export interface Job {
  readonly tensor: string
  readonly size: number
  /** The step that is blamed for what no target is to blame for. */
  readonly step: string
  readonly copies: readonly { readonly from: TensorInfo; readonly to: Target }[]
  /** Parallel to the roots of `sweeps`. */
  readonly targets: readonly Target[]
  readonly sweeps: Sweeps | undefined
}

/** One step as the plan tells it. */
export interface PlannedStep {
  readonly name: string
  readonly op: string
  readonly kind: Kind
  readonly space: Space | undefined
  /** Steps and models it uses. */
  readonly uses: readonly string[]
  /** Why it runs: the steps and outputs that want it. */
  readonly wantedBy: readonly string[]
  readonly tensors: number
  /** How many tensors were merged, kept, missing, … */
  readonly counts: Readonly<Record<string, number>>
}

/** Everything that will happen, decided before anything does. */
export interface Plan {
  readonly name: string
  readonly seed: number | string
  readonly steps: readonly PlannedStep[]
  /** Steps that nothing uses, which are not run. */
  readonly unused: readonly string[]
  readonly outputs: readonly PlannedOutput[]
  readonly reports: readonly PlannedReport[]
  readonly jobs: readonly Job[]
  /** Programs by structure, one ONNX model each. */
  readonly programs: readonly Program[]
  readonly models: readonly PlannedModel[]
  readonly totals: Totals
  readonly warnings: readonly Diagnostic[]
}

/** One input: a model or an adapter. */
export interface PlannedModel {
  readonly name: string
  readonly label: string
  /** Absolute: the safetensors file, or the index of a sharded model. */
  readonly path: string
  readonly architecture: string | undefined
  readonly tensors: number
  readonly bytes: number
  readonly files: readonly InputFile[]
}

/** A file as it was when its header was read; a run fails when it has changed since. */
export interface InputFile {
  readonly path: string
  readonly size: number
  readonly mtimeNs: bigint
  readonly ino: bigint
  readonly dev: bigint
}

/** What the plan costs. */
export interface Totals {
  readonly tensors: number
  readonly copied: number
  readonly computed: number
  /** Bytes read, counting every sweep. */
  readonly readBytes: number
  readonly writeBytes: number
  /** Model tensors whose bytes are not needed: weights of 0, masks that exclude, `keep: 1`. */
  readonly skippedBytes: number
  /** Elementwise operations over all sweeps, a measure of cost. */
  readonly operations: number
}
