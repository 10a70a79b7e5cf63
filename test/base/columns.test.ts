import stringWidth from 'string-width'
import { expect, it } from 'vitest'
import { widthOf } from '#src/base/columns.js'

it('counts wide characters twice, combining ones not at all, and colours not at all', () => {
  expect(widthOf('日本')).toBe(4)
  expect(widthOf('e\u0301')).toBe(1)
  expect(widthOf('\u001b[1mabc\u001b[0m')).toBe(3)
})

it('counts what is drawn as one sign once', () => {
  expect(widthOf('👩‍👩‍👧')).toBe(2)
  expect(widthOf('🇯🇵')).toBe(2)
  expect(widthOf('❤️')).toBe(2)
})

it('agrees with the library on every character that it does not ask it about', () => {
  for (let code = 0x20; code < 0x3000; code++) {
    const character = String.fromCodePoint(code)
    if (code < 0x7f || code > 0x9f) expect([code, widthOf(character)]).toEqual([code, stringWidth(character)])
  }
})
