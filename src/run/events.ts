import type { Digest } from '../base/digest.js'
import type { Diagnostic } from '../base/diagnostic.js'
import type { ReportFormat } from '../operators/report-document.js'

/** What happens during a build, told once and in order. Listeners draw from these and from nothing else. */
export type RunEvent =
  | {
      readonly type: 'run-started'; readonly recipe: string; readonly device: string; readonly workers: number; readonly jobs: number; readonly seed: number | string
      readonly readBytes: number; readonly writeBytes: number
      /** Tensors of all outputs; of these `reused` are taken from earlier runs. `cached` measures are known from earlier builds. */
      readonly tensors: number; readonly reused: number; readonly cached: number
      /** Most bytes of memory the plan expects to hold. */
      readonly memoryBudget: number
    }
  | { readonly type: 'units-finished'; readonly worker: number; readonly tensor: string; readonly step: string; readonly units: number; readonly readBytes: number; readonly writtenBytes: number }
  | { readonly type: 'output-written'; readonly name: string; readonly path: string; readonly files: number; readonly bytes: number; readonly tensors: number; readonly digest: Digest }
  /** A tensor of an output is whole. `steps` are those whose work it was; `seconds` are those of all workers together, over all its sweeps. */
  | {
      readonly type: 'tensor-finished'; readonly output: string; readonly tensor: string; readonly steps: readonly string[]
      readonly how: 'computed' | 'copied' | 'reused'; readonly bytes: number; readonly seconds: number
    }
  /** Memory the program holds, about once a second. */
  | { readonly type: 'memory-measured'; readonly bytes: number }
  /** An output that stood already as it would be written. */
  | { readonly type: 'output-kept'; readonly name: string; readonly path: string; readonly files: number; readonly bytes: number; readonly tensors: number; readonly digest: Digest }
  /** `changes` tell in words how the lock differs from the one before. */
  | { readonly type: 'lock-written'; readonly path: string; readonly changed: boolean; readonly changes: readonly string[] }
  | { readonly type: 'report-written'; readonly name: string; readonly path: string; readonly format: ReportFormat; readonly bytes: number }
  | { readonly type: 'run-finished'; readonly seconds: number; readonly readBytes: number; readonly writtenBytes: number; readonly peakMemory: number }
  | { readonly type: 'run-failed'; readonly diagnostics: readonly Diagnostic[]; readonly seconds: number }

/** Hears what happens; must not throw and should be quick. */
export type Listener = (event: RunEvent) => void
