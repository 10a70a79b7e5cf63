import { describe, expect, it } from 'vitest'
import { cutLine, fitLine, fitName, fitText, lineWidth, paintLine, span, spread } from '#src/view/dashboard/line.js'
import { drawBar, drawColumns, drawLevels, glyphsFor } from '#src/view/dashboard/glyphs.js'
import { clock, shortSeconds } from '#src/view/dashboard/clock.js'
import { widthOf } from '#src/base/columns.js'

const SGR = /\u001b\[(\d*(?:;\d+)*)m/g

describe('lines', () => {
  it.each([0, 1, 5, 10, 40])('are exactly %i columns wide when fitted, wide characters and all', (width) => {
    for (const text of ['', 'abc', 'a long text that has to be cut', '日本語のモデル', '🙂🙂🙂 x']) {
      expect(lineWidth(fitLine([span(text), span(' and more', 'name')], width))).toBe(width)
      expect(widthOf(fitText(text, width))).toBe(width)
      expect(lineWidth(cutLine([span(text)], width))).toBeLessThanOrEqual(width)
    }
  })

  it('write out what could drive the terminal', () => {
    expect(paintLine([span('a\u001b[2Jb')], true)).toBe('a\\u{1b}[2Jb')
  })

  it('use the sixteen colours, turn each off again, and use none without colour', () => {
    const line = (['title', 'name', 'code', 'faint', 'good', 'bad', 'warn', 'busy', 'chosen', 'plain'] as const).map(
      (tone) => span(tone, tone),
    )
    const codes = [...paintLine(line, true).matchAll(SGR)].map((m) => m[1]!)
    for (const code of codes.flatMap((c) => c.split(';')).map(Number))
      expect([0, 1, 2, 7, 31, 32, 33, 36]).toContain(code)
    expect(codes.filter((c) => c !== '0').length).toBe(codes.filter((c) => c === '0').length)
    expect(paintLine(line, false)).not.toContain('\u001b')
  })

  it('leave the right what it needs', () => {
    expect(paintLine(spread([span('left that is long')], [span('right')], 14), false)).toBe('left tha right')
    expect(paintLine(spread([span('left')], [span('right')], 14), false)).toBe('left     right')
  })
})

describe('the name of a tensor', () => {
  const NAME = 'model.diffusion_model.output_blocks.11.1.transformer_blocks.0.attn2.to_k.weight'

  it('stays whole where there is room', () => {
    expect(fitName(NAME, 80).trim()).toBe(NAME)
  })

  it('gives up its longest words first, and never its numbers and its end', () => {
    expect(fitName(NAME, 70).trim()).toBe('model.diffusion_model.output_blocks.11.1.t.0.attn2.to_k.weight')
    expect(fitName(NAME, 40).trim()).toBe('model.d.o.11.1.t.0.attn2.to_k.weight')
    expect(fitName(NAME, 32).trim()).toBe('m.d.o.11.1.t.0.attn2.to_k.weight'.slice(0, 32))
  })

  it('tells blocks apart that a cut in the middle would not', () => {
    expect(fitName(NAME.replace('11', '10'), 36)).not.toBe(fitName(NAME, 36))
  })
})

describe('bars and columns', () => {
  const glyphs = glyphsFor(true)

  it.each([-1, 0, 0.01, 0.5, 0.99, 1, 2])('fill a share of %f of their width and no more', (share) => {
    const [filled, rest] = drawBar(glyphs, share, 20)
    expect((filled + rest).length).toBe(20)
    expect(filled.length).toBe(Math.ceil(Math.max(0, Math.min(40, Math.floor(share * 40))) / 2))
  })

  it('show the greatest number at the top and what is unknown as nothing', () => {
    expect(drawLevels(glyphs, [undefined, 0, 1, 4, 8], 8)).toBe(' ▁▁▄█')
    expect(drawLevels(glyphs, [0, 0], 0)).toBe('▁▁')
    expect(drawColumns(glyphs, [undefined, 0, 4, 8], 8, 2)).toEqual(['   █', '  ██'])
  })

  it('tell time in few characters', () => {
    expect([0, 7.9, 754, 3723].map(clock)).toEqual(['0:00', '0:07', '12:34', '1:02:03'])
    expect([0, 0.8, 12.3, 200].map(shortSeconds)).toEqual(['', '0.8s', '12s', '3:20'])
  })
})
