import { describe, expect, it } from 'vitest'
import { createProgressLine } from '#src/view/progress-line.js'
import { foldEvent, NO_PROGRESS, rateOf, renderLogLine, renderProgress, type Progress } from '#src/view/progress.js'

type RunEvent = Parameters<typeof foldEvent>[1]

const started: RunEvent = {
  type: 'run-started',
  recipe: 'r',
  device: 'cpu',
  workers: 2,
  jobs: 4,
  seed: 0,
  readBytes: 3e9,
  writeBytes: 1e9,
  tensors: 4,
  reused: 0,
  cached: 0,
  memoryBudget: 0,
}
const finishedUnits = (
  readBytes: number,
  writtenBytes: number,
  tensor = 'unet.out.11.attn2.to_k.weight',
  step = 'blend',
): RunEvent => ({ type: 'units-finished', worker: 0, units: 1, tensor, step, readBytes, writtenBytes })
const finished: RunEvent = {
  type: 'run-finished',
  seconds: 4,
  readBytes: 3e9,
  writtenBytes: 1e9,
  peakMemory: 3e8,
  spent: { read: 1, draw: 0, run: 5, take: 1, write: 1 },
}

const fold = (...events: readonly (readonly [at: number, event: RunEvent])[]): Progress =>
  events.reduce((progress, [at, event]) => foldEvent(progress, event, at), NO_PROGRESS)

const halfWay = fold([0, started], [1000, finishedUnits(750e6, 250e6)], [2000, finishedUnits(1.5e9, 500e6)])

describe('the progress of a build', () => {
  it('counts the bytes read and written against the plan', () => {
    expect(halfWay).toMatchObject({ total: 4e9, done: 2e9, step: 'blend', state: 'running' })
  })

  it('never passes the end, even when a search reads more than was planned', () => {
    expect(fold([0, started], [1, finishedUnits(9e9, 0)]).done).toBe(4e9)
  })

  it('is whole once the run has finished', () => {
    expect(fold([0, started], [1000, finishedUnits(1e9, 0)], [2000, finished])).toMatchObject({
      done: 4e9,
      state: 'finished',
    })
  })

  it('takes the rate over the last ten seconds only', () => {
    const slowed = fold(
      [0, started],
      [1000, finishedUnits(2e9, 0)],
      [20_000, finishedUnits(2.1e9, 0)],
      [21_000, finishedUnits(2.2e9, 0)],
    )
    expect(rateOf(slowed)).toBeCloseTo(1e8)
  })

  it('knows no rate from a single moment', () => {
    expect(rateOf(fold([0, started]))).toBeUndefined()
  })

  it('starts anew with the next run', () => {
    expect(foldEvent(halfWay, started, 9000)).toMatchObject({ done: 0, samples: [{ at: 9000, done: 0 }] })
  })
})

describe('one line of progress', () => {
  it('shows a bar, the bytes, the rate, the time left and what is at work', () => {
    expect(renderProgress(halfWay, 120)).toBe(
      '[=========>          ]  50%  2.00 GB of 4.00 GB  1.00 GB/s  2.0 s left  blend: unet.out.11.attn2.to_k.weight',
    )
  })

  it.each([10, 20, 30, 40, 60, 80, 100, 200])('fits into %i columns', (width) => {
    const line = renderProgress(halfWay, width)
    expect(line.length).toBeLessThanOrEqual(width)
    expect(line).toContain('50%')
  })

  it('leaves out the middle of a long name', () => {
    expect(renderProgress(halfWay, 90)).toMatch(/  blend: un…k\.weight$/)
  })

  it('shows a control character of a name as text', () => {
    expect(renderLogLine(fold([0, started], [1, finishedUnits(0, 0, 'a\u001b[2Jb')]))).toContain('blend: a\\u{1b}[2Jb')
  })

  it('leaves out rate and time while they are unknown', () => {
    expect(renderLogLine(fold([0, started]))).toBe('0%  0 B of 4.00 GB')
  })
})

const open = (terminal: boolean) => {
  let now = 0
  const written: string[] = []
  const line = createProgressLine({ terminal, columns: () => 60, now: () => now, write: (text) => written.push(text) })
  return {
    line,
    written,
    at: (moment: number) => {
      now = moment
    },
  }
}

describe('a progress line on a terminal', () => {
  it('is redrawn at most ten times a second however many events there are', () => {
    const { line, written, at } = open(true)
    line.hear(started)
    for (let moment = 0; moment < 1000; moment += 5) {
      at(moment)
      line.hear(finishedUnits(moment * 1e6, 0))
      line.tick()
    }
    expect(written.length).toBeLessThanOrEqual(10)
    expect(written.length).toBeGreaterThan(5)
  })

  it('replaces itself, keeps one column free and is removed at the end', () => {
    const { line, written, at } = open(true)
    line.hear(started)
    at(200)
    line.tick()
    line.clear()
    expect(written).toEqual(['\r\u001b[K[                    ]  0%  0 B of 4.00 GB', '\r\u001b[K'])
    expect(written[0]!.length - '\r\u001b[K'.length).toBeLessThan(60)
  })

  it('draws nothing when nothing has happened since, and removes nothing that is not there', () => {
    const { line, written, at } = open(true)
    line.hear(started)
    at(200)
    line.tick()
    at(400)
    line.tick()
    line.clear()
    line.clear()
    expect(written).toHaveLength(2)
  })

  it('draws nothing after the end', () => {
    const { line, written, at } = open(true)
    line.hear(started)
    line.hear(finished)
    at(1000)
    line.tick()
    expect(written).toEqual([])
  })
})

describe('a progress line in a log', () => {
  it('adds a plain line every few seconds and no control character', () => {
    const { line, written, at } = open(false)
    line.hear(started)
    for (let moment = 0; moment <= 12_000; moment += 100) {
      at(moment)
      line.hear(finishedUnits(moment * 1e5, 0))
      line.tick()
    }
    line.clear()
    expect(written).toHaveLength(2)
    for (const text of written) expect(text).toMatch(/^[^\u0000-\u0009\u000b-\u001f]+\n$/)
  })
})
