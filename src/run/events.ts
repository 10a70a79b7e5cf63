import type { Digest } from '../base/digest.js'
import type { Diagnostic } from '../base/diagnostic.js'
import type { ReportFormat } from '../operators/report-document.js'

/** What happens during a build, told once and in order. Listeners draw from these and from nothing else. */
export type RunEvent =
  | { readonly type: 'run-started'; readonly recipe: string; readonly device: string; readonly workers: number; readonly jobs: number; readonly readBytes: number; readonly writeBytes: number }
  | { readonly type: 'units-finished'; readonly worker: number; readonly tensor: string; readonly step: string; readonly units: number; readonly readBytes: number; readonly writtenBytes: number }
  | { readonly type: 'output-written'; readonly name: string; readonly path: string; readonly files: number; readonly bytes: number; readonly tensors: number; readonly digest: Digest }
  | { readonly type: 'report-written'; readonly name: string; readonly path: string; readonly format: ReportFormat; readonly bytes: number }
  | { readonly type: 'run-finished'; readonly seconds: number; readonly readBytes: number; readonly writtenBytes: number; readonly peakMemory: number }
  | { readonly type: 'run-failed'; readonly diagnostics: readonly Diagnostic[]; readonly seconds: number }

/** Hears what happens; must not throw and should be quick. */
export type Listener = (event: RunEvent) => void
