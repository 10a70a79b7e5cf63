import { describe, expect, it } from 'vitest'
import { widthOf } from '#src/base/columns.js'
import { align, cutMiddle, formatBytes, formatCount, formatDuration, paint, plural, wrap } from '#src/view/text.js'

describe('figures', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [1536, '1.54 kB'],
    [9_994, '9.99 kB'],
    [99_949, '99.9 kB'],
    [999_499, '999 kB'],
    [999_500, '1.00 MB'],
    [2_132_625_894, '2.13 GB'],
    [1.2e15, '1.20 PB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

  it.each([
    [0, '0.0 s'],
    [9.94, '9.9 s'],
    [9.96, '10 s'],
    [59.4, '59 s'],
    [59.6, '1 min 0 s'],
    [200, '3 min 20 s'],
    [3900, '1 h 5 min'],
  ])('%d seconds are %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text))

  it('sets thousands apart', () => {
    expect([7, 1131, 1_066_235_307].map(formatCount)).toEqual(['7', '1,131', '1,066,235,307'])
  })

  it('says one thing and several', () => {
    expect([plural(1, 'tensor'), plural(1131, 'tensor'), plural(0, 'file')]).toEqual([
      '1 tensor',
      '1,131 tensors',
      '0 files',
    ])
  })
})

describe('columns', () => {
  it('cuts the middle to exactly the room there is', () => {
    expect(cutMiddle('model.diffusion.weight', 11)).toBe('model…eight')
    expect(widthOf(cutMiddle('日本語日本語日本語', 8))).toBeLessThanOrEqual(8)
    expect(cutMiddle('short', 5)).toBe('short')
    expect(cutMiddle('short', 1)).toBe('…')
  })

  it('aligns rows and trims their ends', () => {
    expect(
      align(
        [
          ['a', '1', 'x'],
          ['bbb', '20', ''],
        ],
        [1],
      ),
    ).toEqual(['a     1  x', 'bbb  20'])
  })

  it('wraps words and lets a long one stand alone', () => {
    expect(wrap('aa bb cccccccc d', 6, ' ')).toEqual([' aa bb', ' cccccccc', ' d'])
  })

  it('has no colour unless it is wanted', () => {
    expect(paint({ color: false, width: 80 }, 'bad', 'x')).toBe('x')
    expect(paint({ color: true, width: 80 }, 'bad', 'x')).toBe('\u001b[1;31mx\u001b[0m')
  })
})
