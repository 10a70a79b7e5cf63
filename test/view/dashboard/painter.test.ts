import { describe, expect, it } from 'vitest'
import { createPainter } from '#src/view/dashboard/painter.js'
import { createDashboard } from '#src/view/dashboard/dashboard.js'
import { readKeys } from '#src/view/dashboard/keys.js'
import { loadLines } from '#src/view/dashboard/screen.js'
import { callsOf } from '../../support/calls.js'
import { half, made, nameOf, planned, screen, halfWay, started, tensorDone, units } from './support.js'
import { fakeTerminal } from './terminal.js'

const renderLines = await loadLines()
const frame = (...lines: readonly string[]): readonly (readonly string[])[] => lines.map((line) => [line.padEnd(10)])

describe('a painted screen', () => {
  it('is the last frame, whatever was there before', () => {
    const terminal = fakeTerminal(10, 3)
    const painter = createPainter(renderLines)
    terminal.write(painter.paint(frame('one', 'two', 'three'), 10))
    terminal.write(painter.paint(frame('one', '2', 'three and '), 10))
    expect(terminal.lines()).toEqual(['one', '2', 'three and'])
  })

  it('is cleared once, and after that only rows that changed are written', () => {
    const terminal = fakeTerminal(10, 3)
    const painter = createPainter(renderLines)
    terminal.write(painter.paint(frame('one', 'two', 'three'), 10))
    const before = terminal.printed
    terminal.write(painter.paint(frame('one', 'zwei', 'three'), 10))
    expect(terminal.cleared).toBe(1)
    expect(terminal.printed - before).toBe('zwei'.length)
    expect(painter.paint(frame('one', 'zwei', 'three'), 10)).toBe('')
  })

  it('writes only the part of a row that changed, and clears what it was longer before', () => {
    const terminal = fakeTerminal(10, 1)
    const painter = createPainter(renderLines)
    terminal.write(painter.paint([['left ', 'right']], 10))
    const before = terminal.printed
    terminal.write(painter.paint([['l    ', 'right']], 10))
    expect(terminal.lines()).toEqual(['l    right'])
    expect(terminal.printed - before).toBe(5)
    terminal.write(painter.paint([['l    ', 'r    ']], 10))
    expect(terminal.lines()).toEqual(['l    r'])
  })

  it('asks ink once for a line that only moves', () => {
    const asked: string[] = []
    const painter = createPainter((lines, columns) => {
      asked.push(...lines)
      return renderLines(lines, columns)
    })
    painter.paint(frame('one', 'two'), 10)
    painter.paint(frame('two', 'three'), 10)
    expect(asked.map((line) => line.trim())).toEqual(['one', 'two', 'three'])
  })

  it('keeps the last column of a full row', () => {
    const terminal = fakeTerminal(10, 1)
    terminal.write(createPainter(renderLines).paint([['0123456789']], 10))
    expect(terminal.lines()).toEqual(['0123456789'])
  })

  it('is drawn anew after it was forgotten or has another size', () => {
    const terminal = fakeTerminal(10, 3)
    const painter = createPainter(renderLines)
    terminal.write(painter.paint(frame('one', 'two', 'three'), 10))
    painter.forget()
    terminal.write(painter.paint(frame('one', 'two', 'three'), 10))
    terminal.write(painter.paint(frame('one', 'two'), 10))
    expect(terminal.cleared).toBe(3)
    expect(terminal.lines()).toEqual(['one', 'two', ''])
  })

  it('never moves by lines: nothing it writes can scroll the screen', () => {
    const text = createPainter(renderLines).paint(frame('one', 'two', 'three'), 10)
    expect(text).not.toMatch(/[\n\r]/)
    expect(text.startsWith('\u001b[?2026h')).toBe(true)
    expect(text.endsWith('\u001b[?2026l')).toBe(true)
  })
})

const open = (columns = 80, rows = 24) => {
  let now = 0
  let size = { columns, rows }
  let terminal = fakeTerminal(columns, rows)
  let writes = 0
  const dashboard = createDashboard({
    write: (text) => {
      writes += 1
      terminal.write(text)
    },
    size: () => size,
    now: () => now,
    color: true,
    unicode: true,
    stop: 'stop',
    render: renderLines,
  })
  return {
    dashboard,
    lines: () => terminal.lines(),
    writes: () => writes,
    at: (moment: number) => {
      now = moment
    },
    resize: (c: number, r: number) => {
      size = { columns: c, rows: r }
      terminal = fakeTerminal(c, r)
      dashboard.redraw()
    },
  }
}

describe('a dashboard on a terminal', () => {
  it('shows the view of what it heard, escapes replayed', () => {
    const { dashboard, lines, at } = open()
    for (const { event, at: moment } of half) dashboard.hear(event, moment)
    at(5500)
    dashboard.tick()
    expect(lines()).toEqual(screen(halfWay))
  })

  it('is drawn at most ten times a second however many events there are, and however often it is asked', () => {
    const { dashboard, writes, at } = open()
    for (const event of [made, started, planned]) dashboard.hear(event, 0)
    for (let moment = 0; moment < 10_000; moment += 10) {
      at(moment)
      for (let i = 0; i < 10; i++) dashboard.hear(units(0, 0, moment * 1e5, moment * 1e4), moment)
      dashboard.tick()
    }
    expect(writes()).toBeLessThanOrEqual(100)
    expect(writes()).toBeGreaterThan(5)
  })

  it('answers a key at once', () => {
    const { dashboard, lines, at } = open()
    for (const { event, at: moment } of half) dashboard.hear(event, moment)
    at(5500)
    dashboard.tick()
    expect(dashboard.press(readKeys('jj\r'))).toEqual([])
    expect(lines()[2]).toContain('Step blend')
    expect(dashboard.press(readKeys('q'))).toEqual(['stop'])
  })

  it('fits the terminal after every resize, smaller and larger', () => {
    const { dashboard, lines, resize } = open()
    for (const { event, at: moment } of half) dashboard.hear(event, moment)
    for (const [columns, rows] of [
      [200, 60],
      [40, 10],
      [1, 1],
      [120, 30],
      [80, 24],
    ] as const) {
      resize(columns, rows)
      expect(lines()).toHaveLength(rows)
      expect(lines()[0]).toBe(screen(halfWay, { columns, rows, now: 0 })[0])
    }
  })

  it('draws a large screen with little work, so that the workers get their time', async () => {
    const { dashboard, at } = open(200, 60)
    for (const event of [made, started, planned]) dashboard.hear(event, 0)
    const spent: number[] = []
    for (let i = 1; i <= 60; i++) {
      at(i * 1000)
      dashboard.hear(units(i % 2, i % 4, i * 3e7, i * 1e7, nameOf((i + 1) % 4)), i * 1000)
      if (i % 20 === 0) dashboard.hear(tensorDone(i / 20, 1), i * 1000)
      if (i % 20 === 0) spent.push(await callsOf(() => dashboard.tick()))
      else dashboard.tick()
    }
    // A frame takes 120,000 calls, which are some ms.
    expect(Math.max(...spent)).toBeLessThan(300_000)
  })
})
