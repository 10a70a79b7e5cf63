import { describe, expect, it } from 'vitest'
import { fold } from '#src/view/dashboard/fold.js'
import { NOTHING_HEARD } from '#src/view/dashboard/state.js'
import { toRunDocument } from '#src/view/report/run-document.js'
import { drawRunGraph } from '#src/view/report/run-graph.js'
import { renderRunReport } from '#src/view/report/run-page.js'
import {
  after,
  ended,
  finished,
  half,
  locked,
  made,
  planned,
  reported,
  started,
  tensorDone,
  units,
  warned,
  written,
  plan,
} from './dashboard/support.js'

const state = fold(NOTHING_HEARD, [
  ...half,
  ...[tensorDone(1, 3), tensorDone(2, 1), written, reported, locked, finished, ended].map((event) => ({
    event,
    at: 9000,
  })),
])
const text = async (format: 'html' | 'json' | 'txt' | 'svg'): Promise<string> =>
  new TextDecoder().decode(await renderRunReport(state, [], format))
const boxesOf = (svg: string): readonly string[] =>
  [...svg.matchAll(/<text x="14" y="20"[^>]*>([^<]*)</g)].map((m) => m[1]!)

describe('a report on a build', () => {
  const { facts, sections } = toRunDocument(state, [])
  const rowsOf = (title: string): readonly (readonly (string | number | null)[])[] => {
    const section = sections.find((s) => s.title === title)
    return section?.type === 'table' ? section.rows.map((r) => r.cells) : []
  }

  it('tells result, time, bytes, throughput, memory, device, seed and where tensors came from', () => {
    expect(Object.fromEntries(facts.map((f) => [f.label, f.value]))).toMatchObject({
      result: 'done',
      time: '9.0 s',
      read: '3.00 GB',
      written: '1.00 GB',
      throughput: '500 MB/s',
      'peak memory': '350 MB',
      device: 'cpu: cuda was not found',
      seed: '42',
      'tensors computed': 3,
      'tensors reused from the last build': 1,
    })
  })

  it('tells every step with its tensors, its time, why it ran and its numbers', () => {
    expect(rowsOf('Steps').find(([name]) => name === 'blend')).toEqual([
      'blend',
      'merge.dare',
      'done',
      3,
      1.5,
      'param "keep" was 0.3, is 0.5',
      'keep 0.5; drop 0.9',
    ])
  })

  it('tells outputs, warnings, changes of the lock and the slowest tensors', () => {
    expect(rowsOf('Outputs')[0]).toEqual([
      'merged',
      'build/anime-detail.safetensors',
      'written',
      '1.00 GB',
      4,
      expect.stringMatching(/^blake3:/),
    ])
    expect(rowsOf('Warnings and errors')).toEqual([['warning', 'unused-step', 'step `spare` is not used', 'remove it']])
    expect(rowsOf('Changes of the lock')).toHaveLength(2)
    expect(rowsOf('Tensors that took longest').map((r) => r[4])).toEqual([3, 2, 1, 0.5])
  })

  it('names the stretches of a run in which no bytes move', () => {
    const curve = sections.find((s) => s.title === 'Bytes read and written')
    expect(curve?.type === 'curve' ? curve.stretches?.map((s) => s.label) : []).toContain('syncing and renaming')
    expect(curve?.note).toContain('syncing and renaming took')
  })

  it('keeps names whole, wraps reasons between words, and shortens long lists with the whole at hand', async () => {
    const rules = Array.from({ length: 30 }, (_, i) => `layers.${i} 0.${i}`).join(', ')
    const long = fold(state, [
      {
        event: {
          type: 'plan-made',
          plan: { ...plan, steps: plan.steps.map((s) => ({ ...s, numbers: { keep: rules } })) },
        },
        at: 9000,
      },
    ])
    const html = new TextDecoder().decode(await renderRunReport(long, [], 'html'))
    expect(html).toContain(
      `<span title="keep ${rules}" tabindex="0">keep layers.0 0.0, layers.1 0.1, layers.2 0…</span>`,
    )
    expect(html).toMatch(/td\.wrap \{ white-space: normal/)
    expect(html).not.toMatch(/td:first-child[^{]*\{[^}]*overflow-wrap: anywhere/)
  })

  it('draws the throughput only of a run long enough to have one', () => {
    expect(sections.map((s) => s.title)).toContain('Bytes read and written')
    expect(
      toRunDocument(after(made, started, planned, units(0, 0, 1, 1)), []).sections.map((s) => s.title),
    ).not.toContain('Bytes read and written')
  })

  it('takes in what is told of masks and weights, under the names of their steps', () => {
    const document = {
      title: 'Mask',
      subject: 'mask',
      facts: [{ label: 'share', value: 0.5, format: 'share' as const }],
      sections: [{ type: 'table' as const, title: 'Blocks', columns: [], rows: [] }],
    }
    expect(toRunDocument(state, [{ step: 'strong', document }]).sections.map((s) => s.title)).toEqual(
      expect.arrayContaining(['Mask of strong', 'Blocks of strong']),
    )
  })

  it('says of a build that failed what it knows', () => {
    expect(toRunDocument(after(made, warned, started), []).facts[0]).toMatchObject({ value: 'not finished' })
  })
})

describe('the graph of a build', () => {
  const svg = drawRunGraph(state)

  it('has a box for every model, step, output and report', () => {
    expect(boxesOf(svg).toSorted()).toEqual([
      'attention',
      'base',
      'blend',
      'coverage',
      'merged',
      'other',
      'soft',
      'strong',
    ])
  })

  it('never draws two boxes over each other, and all of them inside', () => {
    const places = [...svg.matchAll(/<g transform="translate\((\d+) (\d+)\)">/g)].map(
      (m) => [Number(m[1]), Number(m[2])] as const,
    )
    const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(svg)!.map(Number)
    for (const [i, [x, y]] of places.entries()) {
      expect(x + 188).toBeLessThanOrEqual(width!)
      expect(y + 62).toBeLessThanOrEqual(height!)
      for (const [u, v] of places.slice(i + 1)) expect(Math.abs(x - u) >= 188 || Math.abs(y - v) >= 62).toBe(true)
    }
  })

  it('goes from left to right: what a step takes stands left of it', () => {
    const columnOf = (name: string): number =>
      Number(new RegExp(`translate\\((\\d+) \\d+\\)"><title>${name},`).exec(svg)?.[1])
    for (const [x, y] of [
      ['base', 'strong'],
      ['strong', 'attention'],
      ['attention', 'blend'],
      ['blend', 'soft'],
      ['soft', 'merged'],
    ] as const)
      expect(columnOf(x)).toBeLessThan(columnOf(y))
  })

  it('shows names as text, whatever is in them', () => {
    const evil = { ...plan, steps: [{ ...plan.steps[0]!, name: '<script>', uses: [] }] }
    expect(drawRunGraph(fold(NOTHING_HEARD, [{ at: 0, event: { type: 'plan-made', plan: evil } }]))).not.toContain(
      '<script',
    )
  })

  it('is nothing without a plan', () => {
    expect(drawRunGraph(NOTHING_HEARD)).toBe('')
  })
})

describe('the page', () => {
  it('needs nothing but itself: no script, no request, no font', async () => {
    const page = await text('html')
    expect(page).toMatch(/^<!doctype html>/)
    expect(page).not.toMatch(/<script|<link|<img|<iframe|url\(|@import|src=|href="(?!#)/)
    expect(page).toContain('<h2>Graph</h2>')
    expect(page).toContain('<h2>Steps</h2>')
    expect((page.match(/<svg /g) ?? []).length).toBe(3)
  })

  it('is the same data in every other form', async () => {
    expect((JSON.parse(await text('json')) as { readonly title: string }).title).toBe('Build')
    expect(await text('txt')).toContain('param "keep" was 0.3, is 0.5')
    expect(await text('svg')).toMatch(/^<svg /)
  })
})
