import { widthOf } from '../../base/columns.js'
import { formatBytes, formatCount } from '../text.js'
import { clock, shortSeconds } from './clock.js'
import type { Glyphs } from './glyphs.js'
import { choose, cutLine, fitLine, fitName, fitText, span, type Line, type Tone } from './line.js'
import type { DashboardState, LogEntry, TensorState } from './state.js'

/** A line that begins a panel, with its name in it. */
export const drawTitle = (title: string, width: number, glyphs: Glyphs, right = ''): Line => {
  const words = ` ${title} `
  const end = right === '' ? '' : ` ${right} `
  const rule = glyphs.rule.repeat(Math.max(0, width - widthOf(words) - end.length - 2))
  return cutLine([span(glyphs.rule, 'faint'), span(words, 'title'), span(rule + end + glyphs.rule, 'faint')], width)
}

/** Each worker and what it is on. */
export const drawWorkers = ({ workers, phase }: DashboardState, width: number): readonly Line[] =>
  workers.map(({ tensor, step, last }, i): Line => {
    const idle = phase === 'finished' || phase === 'failed'
    const words = (room: number): Line => {
      if (tensor === '') return [span(idle ? 'done' : 'waiting for work', 'faint')]
      const before = idle ? 'done, last on ' : last ? 'last on ' : ''
      return [span(before, 'faint'), span(fitName(tensor, room - before.length), last ? 'faint' : 'plain')]
    }
    return cutLine(
      [
        span(` ${String(i + 1).padStart(2)} `, 'faint'),
        span(fitText(step, 14), 'code'),
        span(' '),
        ...words(Math.max(8, width - 20)),
      ],
      width,
    )
  })

const drawEntry = ({ at, text, tone, tensor }: LogEntry, began: number | undefined, width: number): Line => {
  const head: Line = [
    span(` ${(began === undefined || at < began ? '' : clock((at - began) / 1000)).padStart(7)} `, 'faint'),
    span(text, tone),
  ]
  return cutLine(
    tensor === undefined ? head : [...head, span(' '), span(fitName(tensor, Math.max(8, width - text.length - 10)))],
    width,
  )
}

/** The last lines of the log, or those that end `back` lines before the last. */
export const drawLog = (
  { log, began }: DashboardState,
  back: number,
  width: number,
  height: number,
): readonly Line[] => {
  const end = Math.max(Math.min(height, log.length), log.length - back)
  return log.slice(Math.max(0, end - height), end).map((entry) => drawEntry(entry, began, width))
}

const TONES: Readonly<Record<TensorState['state'], Tone>> = { waiting: 'faint', working: 'busy', done: 'good' }
const ORIGINS = { computed: 'computed', copied: 'copied', reused: 'reused' } as const

const drawTensor = (tensor: TensorState, picked: boolean, width: number, glyphs: Glyphs): Line => {
  const wide = width >= 100
  const right: Line = [
    span(' '),
    ...(wide ? [span(fitText(tensor.steps.join(', '), 28), 'code'), span(' ')] : []),
    span((tensor.how === undefined ? '' : ORIGINS[tensor.how]).padEnd(15), 'faint'),
    span(' '),
    span((tensor.bytes === 0 ? '' : formatBytes(tensor.bytes)).padStart(8)),
    span(` ${shortSeconds(tensor.seconds).padStart(5)} `),
  ]
  const used = right.reduce((n, { text }) => n + text.length, 0)
  return [
    span(picked ? glyphs.mark : ' ', 'title'),
    span(glyphs.tensor[tensor.state], TONES[tensor.state]),
    span(' '),
    span(fitName(tensor.name, Math.max(8, width - 3 - used))),
    ...right,
  ]
}

/** A list of tensors around the one that is selected, or from the first where none is. */
export const drawTensors = (
  tensors: readonly TensorState[],
  at: number | undefined,
  width: number,
  height: number,
  glyphs: Glyphs,
): readonly Line[] => {
  const top = Math.max(0, Math.min(tensors.length - height, (at ?? 0) - Math.floor(height / 2)))
  return tensors.slice(top, top + height).map((tensor, i) => {
    const line = drawTensor(tensor, top + i === at, width, glyphs)
    return cutLine(top + i === at ? choose(fitLine(line, width)) : line, width)
  })
}

/** How many of some tensors are done, for a title. */
export const countDone = (tensors: readonly TensorState[]): string =>
  `${formatCount(tensors.filter((t) => t.state === 'done').length)} of ${formatCount(tensors.length)} done`
