import { resolve } from 'node:path'
import { exitCode, type Diagnostic, type Place } from '../base/diagnostic.js'
import type { Result } from '../base/result.js'
import { findOperator } from '../operators/index.js'
import { makePlan } from '../plan/make-plan.js'
import type { Plan } from '../plan/plan.js'
import type { InputModel, Recipe } from '../recipe/recipe.js'
import { defaultWorkers } from '../run/build.js'
import type { RunEvent } from '../run/events.js'
import { openInputs } from '../run/prepare.js'
import { drawReports, run } from '../run/run.js'
import type { RunOptions } from '../run/options.js'
import { toJsonText } from '../view/json.js'
import { createProgressLine } from '../view/progress-line.js'
import { renderReport } from '../view/report/render.js'
import { renderReportText } from '../view/report/text.js'
import { renderSummary } from '../view/summary.js'
import type { Console } from './console.js'
import { listenForStop } from './signals.js'

/** What `smelt diff` takes besides two models and layers. */
export interface DiffFlags {
  readonly html?: string
  readonly json?: boolean
}

const option = (name: string): Place => ({ type: 'option', name })

/** The recipe that a command line stands for: one report, `report.diff`. */
const recipeOf = (a: string, b: string, layers: readonly string[], path: string): Recipe => {
  const input = (name: string, file: string): InputModel => ({
    kind: 'model',
    name,
    path: file,
    sha256: undefined,
    at: option(file),
  })
  const patterns = layers.map((text) => ({ text, optional: false, at: option(text) }))
  const place = option('smelt diff')
  return {
    source: { path: 'smelt diff', text: '' },
    name: 'diff',
    seed: 0,
    params: {},
    computed: {},
    inputs: new Map([
      ['a', input('a', a)],
      ['b', input('b', b)],
    ]),
    steps: new Map([
      [
        'diff',
        {
          name: 'diff',
          operator: findOperator('report.diff')!,
          at: place,
          keys: new Map(),
          seed: undefined,
          inputs: { a: { name: 'a', at: option(a) }, b: { name: 'b', at: option(b) } },
          each: [],
          params: patterns.length === 0 ? {} : { layers: { type: 'layers', patterns, at: place } },
          layers: undefined,
          mask: undefined,
          unmasked: 'keep',
          missing: 'error',
          mismatch: 'error',
          architectures: 'error',
        },
      ],
    ]),
    outputs: new Map([
      [
        'diff',
        {
          name: 'diff',
          at: place,
          from: { name: 'diff', at: place },
          path,
          pathAt: option('--html'),
          dtype: 'same',
          dtypeRules: [],
          shardBytes: undefined,
          delta: false,
          nonFinite: 'error',
          metadata: {},
          tags: [],
        },
      ],
    ]),
  }
}

const TICK = 100

/** Runs under the signals of the terminal, with a line that shows progress. */
const withProgress = async <T>(
  console: Console,
  work: (options: RunOptions) => Promise<Result<T>>,
): Promise<{ readonly result: Result<T>; readonly code: number }> => {
  const columns = (): number => console.look('err').width
  const line = createProgressLine({
    terminal: console.errRedraws,
    write: console.err,
    columns,
    now: () => performance.now(),
  })
  const interruption = listenForStop(line.clear)
  const ticking = setInterval(line.tick, TICK)
  try {
    const result = await work({
      workers: defaultWorkers(),
      device: 'cpu',
      signal: interruption.signal,
      listener: line.hear,
    })
    return {
      result,
      code: (result.type === 'failed' ? interruption.exitCode : undefined) ?? exitCode(result.diagnostics),
    }
  } finally {
    line.clear()
    clearInterval(ticking)
    interruption.end()
  }
}

/** Writes the report as a page and says so. */
const writePage = async (console: Console, plan: Plan): Promise<number> => {
  const events: RunEvent[] = []
  const { result, code } = await withProgress(console, (options) =>
    run(plan, {
      ...options,
      render: renderReport,
      listener: (event) => {
        options.listener?.(event)
        if (event.type === 'report-written' || event.type === 'run-finished') events.push(event)
      },
    }),
  )
  console.tell(result.diagnostics)
  console.err(renderSummary(events, console.look('err'), performance.now() / 1000))
  return code
}

/** `smelt diff`: how two models differ, as text, JSON or a page. */
export const diff = async (
  console: Console,
  a: string,
  b: string,
  layers: readonly string[],
  flags: DiffFlags,
): Promise<number> => {
  const recipe = recipeOf(a, b, layers, flags.html ?? 'diff.txt')
  const refuse = (diagnostics: readonly Diagnostic[]): number => {
    console.tell(diagnostics)
    return exitCode(diagnostics)
  }
  const inputs = await openInputs(recipe.inputs.values(), console.cwd)
  if (inputs.type === 'failed') return refuse(inputs.diagnostics)
  const plan = makePlan(recipe, inputs.value, { recipe: resolve(console.cwd), out: undefined })
  if (plan.type === 'failed') return refuse(plan.diagnostics)
  console.tell([...inputs.diagnostics, ...plan.diagnostics])
  if (flags.html !== undefined) return writePage(console, plan.value)
  const { result, code } = await withProgress(console, (options) => drawReports(plan.value, options))
  if (result.type === 'failed') return refuse(result.diagnostics) && code
  const [document] = result.value
  console.out(
    flags.json === true
      ? toJsonText({ type: 'report', ...document! })
      : renderReportText(document!, console.look('out')),
  )
  return code
}
