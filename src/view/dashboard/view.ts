import { progressWords } from '../../base/catalogue/dashboard.js'
import { drawFigures, drawHead, drawThroughput } from './figures.js'
import { glyphsFor, type Glyphs } from './glyphs.js'
import { fitBlock, lineWidth, span, spread, type Line, type Row } from './line.js'
import { drawFindPage, drawHelpPage, drawLogPage, drawStepPage, tensorsLike, tensorsOf } from './pages.js'
import { countDone, drawLog, drawTensors, drawTitle, drawWorkers } from './panels.js'
import type { DashboardState } from './state.js'
import { drawSteps } from './steps-panel.js'
import type { Extent, Ui } from './ui.js'

/** The terminal, and the moment on the clock of the events. */
export interface DashboardFrame {
  readonly columns: number
  readonly rows: number
  readonly now: number
  readonly unicode: boolean
  /** What `q` does, for the last line and the help. */
  readonly stop: string
}

/** Columns from which figures stand beside the steps instead of above them. */
const WIDE = 120
/** Lines that every screen has besides its page: two at the head, one at the foot. */
const FRAME = 3

const hints = (ui: Ui, stop: string): Line => {
  const key = (keys: string, what: string): Line => [span(` ${keys} `, 'name'), span(`${what} `, 'faint')]
  if (ui.typing)
    return [span(` /${ui.query}`, 'name'), span('_', 'chosen'), ...key('  Enter', 'choose'), ...key('Esc', 'back')]
  const move = key('jk', 'move')
  const own = {
    steps: [...move, ...key('Enter', 'tensors')],
    step: move,
    log: move,
    find: [...move, ...key('/', 'again')],
    help: [],
  }[ui.page]
  return [
    ...own,
    ...(ui.page === 'steps' ? [] : key('Esc', 'back')),
    ...(ui.page === 'log' ? [] : key('l', 'log')),
    ...(ui.page === 'find' ? [] : key('/', 'find')),
    ...key('q', stop),
    ...(ui.page === 'help' ? [] : key('?', 'help')),
  ]
}

/** Steps above, workers below, and the end of the log where there is room left. */
const narrow = (
  state: DashboardState,
  ui: Ui,
  width: number,
  height: number,
  now: number,
  glyphs: Glyphs,
): readonly Line[] => {
  const figures =
    height >= 12
      ? drawFigures(state, now, width, glyphs)
      : height >= 7
        ? drawFigures(state, now, width, glyphs).slice(0, 2)
        : []
  const workers = drawWorkers(state, width)
  const rest = height - figures.length
  const working = rest >= 9 ? Math.min(workers.length, Math.max(2, Math.floor(rest / 4))) : 0
  const wanted =
    (state.plan?.steps.length ?? 0) * 2 + (state.plan?.outputs.length ?? 0) + (state.plan?.reports.length ?? 0)
  const room = rest - 1 - (working === 0 ? 0 : working + 1)
  const logged = room - wanted >= 4 ? room - wanted : 0
  return [
    ...figures,
    drawTitle('Steps', width, glyphs),
    ...fitBlock(drawSteps(state, ui.step, width, room - logged, glyphs), width, room - logged),
    ...(working === 0
      ? []
      : [
          drawTitle('Workers', width, glyphs, workers.length > working ? `${working} of ${workers.length}` : ''),
          ...workers.slice(0, working),
        ]),
    ...(logged === 0 ? [] : [drawTitle('Log', width, glyphs), ...drawLog(state, 0, width, logged - 1)]),
  ]
}

/** Lines that a list of tensors below the steps needs at least. */
const LEAST_LIST = 5

/**
 * Steps on the left, with the tensors of the selected one where there is room; figures, throughput, workers and log on
 * the right.
 */
const wide = (
  state: DashboardState,
  ui: Ui,
  width: number,
  height: number,
  now: number,
  glyphs: Glyphs,
): readonly Row[] => {
  const right = Math.floor(width * 0.45)
  const left = width - right - 1
  const figures = drawFigures(state, now, right, glyphs)
  const chart = height >= 24 ? Math.min(8, Math.floor(height / 6)) : 0
  const workers = drawWorkers(state, right).slice(0, Math.max(2, Math.floor(height / 4)))
  const log = height - figures.length - 2 - workers.length - (chart === 0 ? 0 : chart + 1) - 1
  const beside = [
    drawTitle('Figures', right, glyphs),
    ...figures,
    ...(chart === 0
      ? []
      : [
          drawTitle('Throughput', right, glyphs, progressWords.throughput),
          ...drawThroughput(state, now, right, chart, glyphs),
        ]),
    drawTitle('Workers', right, glyphs),
    ...workers,
    ...(log < 2 ? [] : [drawTitle('Log', right, glyphs), ...drawLog(state, 0, right, log)]),
  ]
  const steps = [drawTitle('Steps', left, glyphs), ...drawSteps(state, ui.step, left, height - 1, glyphs)]
  const picked = state.plan?.steps[ui.step]?.name
  const room = height - steps.length - 2
  const tensors = picked === undefined || room < LEAST_LIST ? [] : tensorsOf(state, picked)
  const below =
    tensors.length === 0
      ? []
      : [
          [],
          drawTitle(`Tensors of ${picked}`, left, glyphs, countDone(tensors)),
          ...drawTensors(tensors, undefined, left, room, glyphs),
        ]
  const lines = fitBlock(beside, right, height)
  return fitBlock([...steps, ...below], left + 1, height).map((line, i) => [line, lines[i]!])
}

const page = (
  state: DashboardState,
  ui: Ui,
  { columns, now, stop }: DashboardFrame,
  height: number,
  glyphs: Glyphs,
): readonly Line[] => {
  switch (ui.page) {
    case 'steps':
      return narrow(state, ui, columns, height, now, glyphs)
    case 'step':
      return drawStepPage(state, ui.step, ui.at, columns, height, glyphs)
    case 'log':
      return drawLogPage(state, ui.at, columns, height, glyphs)
    case 'find':
      return drawFindPage(state, ui.query, ui.at, columns, height, glyphs)
    case 'help':
      return drawHelpPage(stop, columns, glyphs)
  }
}

/** How much a page has to move over. */
export const extentOf = (state: DashboardState, ui: Ui, { rows }: DashboardFrame): Extent => {
  const lines =
    ui.page === 'log'
      ? state.log.length
      : ui.page === 'find'
        ? tensorsLike(state, ui.query).length
        : ui.page === 'step'
          ? tensorsOf(state, state.plan?.steps[ui.step]?.name).length
          : 0
  return { steps: state.plan?.steps.length ?? 0, lines, page: Math.max(1, rows - FRAME - 1) }
}

/** The signs in our own words that ASCII has others for, each as wide. */
const inAscii = (row: Row): Row =>
  row.map((line) => line.map(({ text, tone }) => ({ text: text.replaceAll('…', '~').replaceAll('’', "'"), tone })))

const whole = (lines: readonly Line[], width: number, height: number): readonly Row[] =>
  fitBlock(lines, width, height).map((line) => [line])

/**
 * A build as a screen: exactly `rows` rows of exactly `columns` columns, whatever the build and however small the
 * terminal. Pure.
 * A row of two parts has them side by side.
 */
export const view = (state: DashboardState, ui: Ui, scene: DashboardFrame): readonly Row[] => {
  const { columns, rows, now, stop } = scene
  const glyphs = glyphsFor(scene.unicode)
  const height = rows - FRAME
  const head = drawHead(state, now, columns, glyphs)
  if (height < 1) return whole(head, columns, rows)
  const foot = hints(ui, stop)
  const told = state.problems.length === 0 ? '' : `${progressWords.problems(state.problems.length)} `
  const room = columns - lineWidth(foot)
  const all = [
    ...whole(head, columns, 2),
    ...(ui.page === 'steps' && columns >= WIDE
      ? wide(state, ui, columns, height, now, glyphs)
      : whole(page(state, ui, scene, height, glyphs), columns, height)),
    ...whole([told !== '' && room > told.length ? spread(foot, [span(told, 'warn')], columns) : foot], columns, 1),
  ]
  return scene.unicode ? all : all.map(inAscii)
}
