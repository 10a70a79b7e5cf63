import type { BuildEvent, TimedEvent } from '#src/view/dashboard/build-event.js'
import { fold } from '#src/view/dashboard/fold.js'
import { lineWidth, paintLine, type Row } from '#src/view/dashboard/line.js'
import { NOTHING_HEARD, type DashboardState } from '#src/view/dashboard/state.js'
import { FIRST_LOOK, type Ui } from '#src/view/dashboard/ui.js'
import { view, type DashboardFrame } from '#src/view/dashboard/view.js'

type Plan = Extract<BuildEvent, { readonly type: 'plan-made' }>['plan']
type Step = Plan['steps'][number]

const step = (
  name: string,
  op: string,
  uses: readonly string[],
  wantedBy: readonly string[],
  more: Partial<Step> = {},
): Step => ({
  name,
  op,
  kind: op.startsWith('mask') ? 'mask' : 'model',
  space: op.startsWith('mask') ? undefined : 'weights',
  uses,
  wantedBy,
  tensors: 4,
  counts: {},
  step: name,
  setting: 0,
  neededBy: ['merged'],
  reasons: [],
  reason: '',
  numbers: {},
  ...more,
})

/** A recipe of five steps in two branches. */
export const steps: readonly Step[] = [
  step('strong', 'mask.magnitude', ['anime', 'base'], ['attention', 'blend'], {
    reason: 'param "quantile" was 0.7, is 0.8',
  }),
  step('attention', 'mask.edit', ['strong'], ['blend'], { reason: 'its mask changed' }),
  step('blend', 'merge.dare', ['base', 'anime', 'attention', 'strong'], ['soft'], {
    reason: 'param "keep" was 0.3, is 0.5',
    numbers: { keep: 0.5, drop: 0.9 },
    counts: { merged: 3, kept: 1 },
  }),
  step('other', 'merge.blend', ['base', 'anime'], ['soft'], { reason: 'copied from last build', neededBy: [] }),
  step('soft', 'merge.blend', ['blend', 'other'], ['merged'], { reason: 'its first model changed' }),
]

export const plan: Plan = {
  name: 'anime-detail',
  seed: 42,
  models: [
    {
      name: 'base',
      path: 'base.safetensors',
      architecture: 'Stable Diffusion 1',
      tensors: 4,
      bytes: 2e9,
      files: ['base.safetensors'],
    },
  ],
  steps,
  unused: [],
  outputs: [
    {
      name: 'merged',
      path: 'build/anime-detail.safetensors',
      from: 'soft',
      kept: false,
      tensors: 4,
      bytes: 1e9,
      dtypes: { F16: 4 },
      unscaled: 0,
      files: ['build/anime-detail.safetensors'],
    },
  ],
  reports: [{ name: 'coverage', path: 'build/mask.html', from: 'strong', format: 'html', measured: 4 }],
  work: {
    tensors: 4,
    copied: 0,
    computed: 4,
    reused: 1,
    cached: 3,
    digestBytes: 0,
    readBytes: 3e9,
    writeBytes: 1e9,
    skippedBytes: 0,
    operations: 1e9,
    jobs: 4,
    programs: 2,
    sweeps: 1,
    peakMemory: 3e8,
    seconds: 8,
    workers: 2,
  },
  device: { name: 'cpu', title: undefined, reason: 'asked for', workers: 2, chunk: 0, memory: undefined, notes: [] },
}

/** Names as checkpoints have them, told apart by their numbers and their ends. */
export const nameOf = (i: number): string =>
  `model.diffusion_model.output_blocks.${i}.1.transformer_blocks.0.attn2.to_k.weight`

const DONE = ['strong', 'attention', 'blend', 'soft']
const DIGEST = `blake3:${'0123456789abcdef'.repeat(4)}` as Extract<
  BuildEvent,
  { readonly type: 'output-written' }
>['digest']

export const made: BuildEvent = { type: 'plan-made', plan }
export const started: BuildEvent = {
  type: 'run-started',
  recipe: 'anime-detail',
  device: 'cpu',
  deviceReason: 'cuda was not found',
  workers: 2,
  jobs: 4,
  readBytes: 3e9,
  writeBytes: 1e9,
  tensors: 4,
  reused: 1,
  cached: 3,
  seed: 42,
  memoryBudget: 4e8,
}
export const counted: BuildEvent = {
  type: 'step-counted',
  step: 'blend',
  op: 'merge.blend',
  tensors: 4,
  counts: { merged: 3, missing: 1 },
}
export const planned: BuildEvent = {
  type: 'work-planned',
  tensors: [0, 1, 2, 3].map((i) => ({
    output: 'merged',
    tensor: nameOf(i),
    steps: i === 3 ? ['other', 'soft'] : DONE,
    bytes: 2.5e8,
  })),
}
export const units = (
  worker: number,
  tensor: number,
  readBytes: number,
  writtenBytes: number,
  next = '',
): BuildEvent => ({
  type: 'units-finished',
  worker,
  tensor: nameOf(tensor),
  step: 'soft',
  units: 2,
  readBytes,
  writtenBytes,
  next,
})
export const tensorDone = (
  tensor: number,
  seconds: number,
  how: 'computed' | 'copied' | 'reused' = 'computed',
): BuildEvent => ({
  type: 'tensor-finished',
  output: 'merged',
  tensor: nameOf(tensor),
  steps: how === 'reused' ? ['other', 'soft'] : DONE,
  how,
  bytes: 2.5e8,
  seconds,
})
export const memory = (bytes: number): BuildEvent => ({ type: 'memory-measured', bytes })
export const written: BuildEvent = {
  type: 'output-written',
  name: 'merged',
  path: 'build/anime-detail.safetensors',
  files: 1,
  bytes: 1e9,
  tensors: 4,
  digest: DIGEST,
}
export const reported: BuildEvent = {
  type: 'report-written',
  name: 'coverage',
  path: 'build/mask.html',
  format: 'html',
  bytes: 12_345,
}
export const locked: BuildEvent = {
  type: 'lock-written',
  path: 'recipe.lock.json',
  changed: true,
  changes: ['step blend has another fingerprint', 'output merged has another digest'],
}
export const warned: BuildEvent = {
  type: 'problem-found',
  diagnostic: {
    code: 'unused-step',
    severity: 'warning',
    blame: 'input',
    message: 'step `spare` is not used',
    related: [],
    help: 'remove it',
    at: { path: 'recipe.yaml', line: 7, column: 3, endLine: 7, endColumn: 8 },
  },
}
export const finished: BuildEvent = {
  type: 'run-finished',
  seconds: 8,
  readBytes: 3e9,
  writtenBytes: 1e9,
  peakMemory: 3.5e8,
  spent: { read: 1, draw: 0, run: 5, take: 1, write: 1 },
}
export const failed: BuildEvent = { type: 'run-failed', seconds: 5 }
export const stop: BuildEvent = { type: 'stop-requested', signal: 'SIGINT' }
export const ended: BuildEvent = { type: 'command-ended', exit: 0 }

/** Events a second apart, the first at 0 s. */
export const everySecond = (events: readonly BuildEvent[]): readonly TimedEvent[] =>
  events.map((event, i) => ({ at: 1000 * i, event }))

/** A build in the middle: 4.5 s in, two of four tensors done. */
export const half: readonly TimedEvent[] = [
  { at: 0, event: made },
  { at: 500, event: warned },
  { at: 1000, event: started },
  { at: 1000, event: planned },
  { at: 2000, event: units(0, 0, 3e8, 1e8, nameOf(1)) },
  { at: 3000, event: units(1, 3, 9e8, 3e8, nameOf(2)) },
  { at: 3000, event: tensorDone(3, 0.5, 'reused') },
  { at: 4000, event: memory(2.5e8) },
  { at: 5000, event: memory(2.4e8) },
  { at: 5000, event: units(0, 0, 1.5e9, 5e8, nameOf(1)) },
  { at: 5000, event: tensorDone(0, 2) },
]
export const NOW = 5500

export const after = (...events: readonly BuildEvent[]): DashboardState => fold(NOTHING_HEARD, everySecond(events))
export const halfWay = fold(NOTHING_HEARD, half)

const SCENE: DashboardFrame = { columns: 80, rows: 24, now: NOW, unicode: true, stop: 'stop' }

/** A row of the screen as text. */
export const rowText = (row: Row, color = false): string => row.map((line) => paintLine(line, color)).join('')

/** A screen as text, without colours and without spaces at the ends of lines. */
export const screen = (
  state: DashboardState,
  scene: Partial<DashboardFrame> = {},
  ui: Partial<Ui> = {},
): readonly string[] =>
  view(state, { ...FIRST_LOOK, ...ui }, { ...SCENE, ...scene }).map((row) => rowText(row).trimEnd())

/** The widths of all lines of a screen. */
export const widths = (
  state: DashboardState,
  scene: Partial<DashboardFrame> = {},
  ui: Partial<Ui> = {},
): readonly number[] =>
  view(state, { ...FIRST_LOOK, ...ui }, { ...SCENE, ...scene }).map((row) =>
    row.reduce((n, line) => n + lineWidth(line), 0),
  )
