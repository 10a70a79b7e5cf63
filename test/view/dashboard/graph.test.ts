import { describe, expect, it } from 'vitest'
import { glyphsFor } from '#src/view/dashboard/glyphs.js'
import { drawGraph, type GraphNode } from '#src/view/dashboard/graph.js'

const draw = (text: string, unicode = true): string | undefined => {
  const nodes: readonly GraphNode[] = text
    .trim()
    .split('\n')
    .map((line) => {
      const [name, ...uses] = line.trim().split(/\s+/)
      return { name: name!, uses }
    })
  return drawGraph(nodes, glyphsFor(unicode))
    ?.map(({ before, after }, i) => `${before}O${after} ${nodes[i]!.name}`.trimEnd())
    .join('\n')
}

describe('the graph of steps', () => {
  it('is one line where each step takes the one before', () => {
    expect(draw('a\nb a\nc b')).toBe('O a\nO b\nO c')
  })

  it('opens a lane for a second result, and closes it where both are taken', () => {
    expect(draw('a\nb\nc a b')).toBe('O   a\n│ O b\nO─╯ c')
  })

  it('keeps a lane open for a result that is wanted again', () => {
    expect(draw('a\nb a\nc a b\nd c')).toBe('O   a\n├─O b\nO─╯ c\nO   d')
  })

  it('crosses lanes that have nothing to do with the step', () => {
    expect(draw('a\nb\nc\nd a c\ne b d')).toBe('O     a\n│ O   b\n│ │ O c\nO─┼─╯ d\nO─╯   e')
  })

  it('leaves a step that nothing after it takes on a lane of its own', () => {
    expect(draw('a\nb a\nc a')).toBe('O   a\n├─O b\nO   c')
  })

  it('is drawn with ASCII where a terminal has nothing else', () => {
    expect(draw('a\nb\nc a b', false)).toBe("O   a\n| O b\nO-' c")
  })

  it('is not drawn where it would take the room of the words', () => {
    const wide = [
      ...Array.from({ length: 12 }, (_, i) => `s${i}`),
      `all ${Array.from({ length: 12 }, (_, i) => `s${i}`).join(' ')}`,
    ].join('\n')
    expect(draw(wide)).toBeUndefined()
  })

  it('gives every row the same width, whatever the graph', () => {
    let seed = 7
    const random = (n: number): number => (seed = (seed * 1103515245 + 12345) % 2147483648) % n
    for (let round = 0; round < 200; round++) {
      const nodes = Array.from({ length: 10 }, (_, i): GraphNode => ({
        name: `n${i}`,
        uses: Array.from({ length: random(3) }, () => `n${random(i + 1)}`).filter((u) => u !== `n${i}`),
      }))
      const rows = drawGraph(nodes, glyphsFor(true))
      if (rows === undefined) continue
      expect(new Set(rows.map((r) => [...r.before, ...r.after].length)).size).toBe(1)
    }
  })
})
