import { describe, expect, it } from 'vitest'
import { loadLines } from '#src/view/dashboard/screen.js'
import { NOTHING_HEARD } from '#src/view/dashboard/state.js'
import { FIRST_LOOK } from '#src/view/dashboard/ui.js'
import { view } from '#src/view/dashboard/view.js'
import {
  after,
  ended,
  failed,
  finished,
  halfWay,
  locked,
  made,
  nameOf,
  NOW,
  planned,
  rowText,
  screen,
  started,
  stop,
  units,
  widths,
  written,
} from './support.js'

const PAGES = ['steps', 'step', 'log', 'find', 'help'] as const
const SIZES = [
  [80, 24],
  [200, 60],
  [120, 30],
  [100, 30],
  [60, 15],
  [40, 10],
  [20, 5],
  [10, 3],
  [1, 1],
  [300, 8],
] as const

const renderLines = await loadLines()

describe('the dashboard at 80 by 24', () => {
  it('shows the whole build: steps with state, progress, time and reason, throughput, memory, cache, device, workers', () => {
    expect(screen(halfWay).join('\n'))
      .toBe(` anime-detail  building  2 of 4 tensors  seed 42                           0:04
 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╸────────────────────────────── 50%   0:04 left
 read    1.50 GB of 3.00 GB      225 MB/s              ▄█▄▄
 write   500 MB of 1.00 GB      75.0 MB/s              ▄█▄▄
          38% of peak rate, 800 MB/s
 memory  240 MB, at most 250 MB  of 400 MB expected
 cache   3 hits, 1 reused from the last build
 device  cpu  cuda was not found
─ Steps ────────────────────────────────────────────────────────────────────────
▸◐     strong    mask.…tude ━━╸─────  1/3  0.5s  param "quantile" was 0.7, is 0.
 ├─◐   attention mask.edit  ━━╸─────  1/3  0.5s  its mask changed
 ├─◐   blend     merge.dare ━━╸─────  1/3  0.5s  param "keep" was 0.3, is 0.5
 │ │ ● other     merge…lend ━━━━━━━━  1/1  0.3s  copied from last build
 │ ◐─╯ soft      merge…lend ━━━━────  2/4  0.8s  its first model changed
 │ ▣   merged    build/anime-detail.safetensors  1.00 GB
 ▣     coverage  build/mask.html




─ Workers ──────────────────────────────────────────────────────────────────────
  1 soft           model.d.output_blocks.1.1.t.0.attn2.to_k.weight
  2 soft           model.d.output_blocks.2.1.t.0.attn2.to_k.weight
 jk move  Enter tensors  l log  / find  q stop  ? help   1 problem, see the log`)
  })

  it('shows the numbers and the tensors of a step', () => {
    expect(screen(halfWay, {}, { page: 'step', step: 2 }).slice(2, 14).join('\n'))
      .toBe(`─ Step blend ───────────────────────────────────────────────────────────────────
 operator  merge.dare, which gives a model
 uses      base, anime, attention, strong
 used by   soft
 why       param "keep" was 0.3, is 0.5
 keep      0.5
 drop      0.9
 planned   3 merged, 1 kept
 progress  running, 1 of 3 tensors, 0.5s of worker time
─ Tensors ──────────────────────────────────────────────────────── 1 of 3 done ─
▸◐ model.d.o.1.1.t.0.attn2.to_k.weight                             250 MB
 ◐ model.d.o.2.1.t.0.attn2.to_k.weight                             250 MB`)
  })

  it('shows the log with its moments', () => {
    expect(screen(halfWay, {}, { page: 'log' }).slice(2, 9)).toEqual([
      '─ Log ──────────────────────────────────────────────────────────────── 5 lines ─',
      '         warning: step `spare` is not used',
      '    0:00 started anime-detail on cpu with 2 workers: reads 3.00 GB, writes 1.00',
      '    0:00 device cpu: cuda was not found',
      '    0:02 reused    250 MB in 0.5 s model.d.o.3.1.t.0.attn2.to_k.weight',
      '    0:04 computed  250 MB in 2.0 s model.d.o.0.1.t.0.attn2.to_k.weight',
      '',
    ])
  })

  it('finds tensors by a part of their names or by their step', () => {
    expect(
      screen(halfWay, {}, { page: 'find', query: 'BLOCKS.3', typing: true }).filter((line) => line.includes('attn2')),
    ).toHaveLength(1)
    expect(screen(halfWay, {}, { page: 'find', query: 'other' }).filter((line) => line.includes('attn2'))).toHaveLength(
      1,
    )
    expect(screen(halfWay, {}, { page: 'find', query: 'nothing' })[3]).toBe(' no tensor matches')
    expect(screen(halfWay, {}, { page: 'find', query: 'BLOCKS.3', typing: true }).at(-1)).toMatch(
      /^ \/BLOCKS\.3_ {3}Enter choose {2}Esc back/,
    )
  })

  it('says what the keys are', () => {
    expect(screen(halfWay, { stop: 'leave' }, { page: 'help' }).join('\n')).toMatch(/q, Ctrl-C +leave\n/)
  })
})

describe('the dashboard at 200 by 60', () => {
  const lines = screen(halfWay, { columns: 200, rows: 60 })

  it('puts figures, throughput, workers and log beside the steps, and reasons and tensors with them', () => {
    const text = lines.join('\n')
    for (const words of [
      '─ Steps ─',
      '─ Figures ─',
      '─ Throughput ─',
      '─ Workers ─',
      '─ Log ─',
      '─ Tensors of strong ─',
      'param "keep" was 0.3, is 0.5',
      'copied from last build',
    ])
      expect(text).toContain(words)
    expect(lines).toHaveLength(60)
  })

  it('shows names of tensors whole', () => {
    expect(screen(halfWay, { columns: 200, rows: 60 }, { page: 'find' }).some((line) => line.includes(nameOf(1)))).toBe(
      true,
    )
  })
})

describe('a dashboard of any size', () => {
  it.each(SIZES)('fills %i by %i exactly on every page, before, during and after a build', (columns, rows) => {
    const states = [
      NOTHING_HEARD,
      after(made),
      halfWay,
      after(made, started, stop),
      after(made, started, planned, units(0, 0, 1e8, 0), failed),
      after(made, started, finished, written, locked, ended),
    ]
    for (const state of states) {
      for (const page of PAGES) {
        for (const unicode of [true, false]) {
          expect(widths(state, { columns, rows, unicode }, { page, step: 3, at: 2, query: 'k' })).toEqual(
            new Array(rows).fill(columns),
          )
        }
      }
    }
  })

  it('keeps the selected step in view however little room there is', () => {
    for (const rows of [10, 12, 16]) {
      for (let step = 0; step < 5; step++) {
        expect(screen(halfWay, { rows }, { step }).some((line) => line.startsWith('▸'))).toBe(true)
      }
    }
  })

  it('does without colour what it does with colour: only the colours differ', () => {
    const lines = view(halfWay, FIRST_LOOK, { columns: 80, rows: 24, now: NOW, unicode: true, stop: 'stop' })
    expect(lines.map((row) => rowText(row, true).replaceAll(/\u001b\[[\d;]*m/g, ''))).toEqual(
      lines.map((row) => rowText(row)),
    )
  })

  it('needs nothing but ASCII where that is all there is', () => {
    const text = screen(halfWay, { unicode: false }).join('')
    expect(text).toMatch(/^[ -~]*$/)
  })

  it('stands still where nothing happens: only clocks and rates move', () => {
    const [x, y] = [screen(halfWay, { now: NOW }), screen(halfWay, { now: NOW + 10 })]
    expect(x.filter((line, i) => line !== y[i]).length).toBeLessThanOrEqual(4)
  })

  it('tells when it stops, fails and is done', () => {
    expect(screen(after(made, started, stop))[0]).toContain('stopping after this chunk')
    expect(screen(after(made, started, failed))[0]).toContain('not finished')
    expect(screen(after(made, started, finished))[1]).toContain('100%')
    expect(screen(NOTHING_HEARD)[0]).toContain('waiting')
  })
})

describe('a frame as ink puts it on a terminal', () => {
  it.each([
    [80, 24],
    [200, 60],
  ] as const)('has the lines of the view at %i by %i, in colour and without', (columns, rows) => {
    const lines = view(halfWay, FIRST_LOOK, { columns, rows, now: NOW, unicode: true, stop: 'stop' })
    const plain = lines.map((row) => rowText(row).trimEnd())
    expect(
      renderLines(
        lines.map((row) => rowText(row)),
        columns,
      ),
    ).toEqual(plain)
    const colored = renderLines(
      lines.map((row) => rowText(row, true)),
      columns,
    )
    expect(colored.map((line) => line.replaceAll(/\u001b\[[\d;]*m/g, '').trimEnd())).toEqual(plain)
    expect(colored.join('')).toContain('\u001b[32m')
  })
})
