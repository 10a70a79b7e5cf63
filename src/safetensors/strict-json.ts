import type { Diagnostic } from '../base/diagnostic.js'
import type { JsonReason } from '../base/catalogue/safetensors.js'

/** How a reader is bounded and how it puts a syntax problem, found at a byte offset, into words. */
export interface JsonRules {
  /** The nesting level that is refused; the levels below it are read. */
  readonly depth: number
  /** Longest string that is read, in UTF-16 units. */
  readonly longest: number
  readonly describe: (reason: JsonReason, offset: number) => Diagnostic
}

/**
 * Reads one JSON document of bytes from front to back, as its caller asks for it. The first problem sticks: from then
 * on every read
 * yields an empty value and nothing is visited, so callers look at `fault` once, at the end.
 */
export interface JsonReader {
  /** The first problem met, or undefined. */
  fault(): Diagnostic | undefined
  /** Offset of the next byte to read, after any white space. */
  position(): number
  /** Offset behind what was read last. */
  end(): number
  /** Character code of the next token's first byte, after any white space; undefined at the end. */
  peek(): number | undefined
  /** Calls `visit` with each key, decoded, duplicates included; `visit` must read the value. */
  object(visit: (key: string) => void): void
  /** Calls `visit` for each element; `visit` must read it. */
  array(visit: () => void): void
  string(): string
  /** An integer in 0..2^64-1, written without sign, fraction or exponent; a bigint where a number would round. */
  integer(): number | bigint
  null(): void
  /** Reads any value, checked like the rest, and gives its text. */
  skip(): Buffer
  /** Demands that only white space is left. */
  finish(): void
  /** Makes a problem of the caller's own the fault. */
  refuse(problem: Diagnostic): void
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const MINUS = 0x2d
const ZERO = 0x30
const ESCAPES = new Map([...'"\\/bfnrt'].map((letter, i) => [letter.charCodeAt(0), '"\\/\b\f\n\r\t'.charAt(i)]))
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const UNUSUAL = /[^\x20-\x5b\x5d-\x7f]/
const U64 = (1n << 64n) - 1n
/** Digits of the largest integer that fits. More are not even converted, which for a million of them takes minutes. */
const U64_DIGITS = 20

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= ZERO && byte <= 0x39
const mayContinueNumber = (byte: number | undefined): boolean =>
  isDigit(byte) || byte === 0x2e || byte === 0x2b || byte === MINUS || byte === 0x65 || byte === 0x45

/** Opens a reader on bytes already known to be UTF-8. */
export const readJson = (bytes: Buffer, rules: JsonRules): JsonReader => {
  const end = bytes.length
  let at = 0
  let depth = 0
  let fault: Diagnostic | undefined
  // Short strings repeat (field names, dtypes); remembering where one was last seen spares making it again.
  const seen: { start: number; text: string }[] = []

  const refuse = (problem: Diagnostic): void => {
    fault ??= problem
    at = end
  }
  const fail = (reason: JsonReason, offset = at): void => refuse(fault ?? rules.describe(reason, offset))
  const peek = (): number | undefined => {
    while (at < end) {
      const byte = bytes[at]
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte
      at++
    }
    return undefined
  }
  const expect = (byte: number, reason: JsonReason): boolean => {
    if (peek() !== byte) {
      fail(at === end ? 'unexpected-end' : reason)
      return false
    }
    at++
    return true
  }

  const list = (open: number, close: number, reason: JsonReason, item: () => void): void => {
    if (!expect(open, reason)) return
    if (++depth >= rules.depth) return fail('too-deep', at - 1)
    if (peek() === close) at++
    else {
      for (;;) {
        item()
        const byte = peek()
        if (byte !== COMMA && byte !== close) return fail(at === end ? 'unexpected-end' : 'expected-comma')
        at++
        if (byte === close) break
      }
    }
    depth--
  }

  const hex = (): number => {
    const text = bytes.toString('latin1', at, at + 4)
    if (!/^[0-9a-fA-F]{4}$/.test(text)) {
      fail('bad-escape')
      return 0
    }
    at += 4
    return Number.parseInt(text, 16)
  }
  const codePoint = (): string => {
    const start = at - 2
    const unit = hex()
    if (unit < 0xd800 || unit > 0xdfff) return String.fromCharCode(unit)
    if (unit <= 0xdbff && bytes[at] === BACKSLASH && bytes[at + 1] === 0x75) {
      at += 2
      const low = hex()
      if (low >= 0xdc00 && low <= 0xdfff) return String.fromCharCode(unit, low)
    }
    fail('lone-surrogate', start)
    return ''
  }
  const escape = (): string => {
    const letter = bytes[at + 1]
    at += 2
    if (letter === 0x75) return codePoint()
    const plain = letter === undefined ? undefined : ESCAPES.get(letter)
    if (plain === undefined) fail('bad-escape', at - 2)
    return plain ?? ''
  }

  const slice = (start: number): string => {
    const length = at - start
    if (length > 16) return bytes.toString('latin1', start, at)
    const slot = ((bytes[start] ?? 0) + length) & 63
    const known = seen[slot]
    if (known !== undefined && known.text.length === length) {
      let i = 0
      while (i < length && bytes[known.start + i] === bytes[start + i]) i++
      if (i === length) return known.text
    }
    const text = bytes.toString('latin1', start, at)
    seen[slot] = { start, text }
    return text
  }
  const string = (): string => {
    if (!expect(QUOTE, 'expected-string')) return ''
    const start = at
    // The usual string, without escapes, is found and checked by native code; only the others are walked byte by byte.
    at = bytes.indexOf(QUOTE, start)
    if (at >= 0) {
      const text = slice(start)
      if (!UNUSUAL.test(text)) {
        at++
        if (text.length > rules.longest) fail('string-too-long', start - 1)
        return text
      }
    }
    at = start
    return walk()
  }

  const walk = (): string => {
    const first = at - 1
    let start = at
    let text = ''
    while (at < end) {
      const byte = bytes[at] as number
      if (byte === QUOTE) {
        text += bytes.toString('utf8', start, at++)
        if (text.length > rules.longest) fail('string-too-long', first)
        return text
      }
      if (byte < 0x20) {
        fail('control-character')
        return ''
      }
      if (byte === BACKSLASH) {
        text += (at > start ? bytes.toString('utf8', start, at) : '') + escape()
        start = at
      } else at++
    }
    fail('unexpected-end')
    return ''
  }

  const integer = (): number | bigint => {
    const first = peek()
    const start = at
    let value = 0
    while (isDigit(bytes[at])) value = value * 10 + (bytes[at++] as number) - ZERO
    const length = at - start
    if (length === 0 || mayContinueNumber(bytes[at]))
      fail(first === undefined ? 'unexpected-end' : 'expected-integer', start)
    else if (first === ZERO && length > 1) fail('bad-number', start)
    else if (length <= 15) return value
    else if (length > U64_DIGITS) fail('integer-too-large', start)
    else {
      const exact = BigInt(bytes.toString('latin1', start, at))
      if (exact <= U64) return exact <= Number.MAX_SAFE_INTEGER ? Number(exact) : exact
      fail('integer-too-large', start)
    }
    return 0
  }

  const number = (): void => {
    const start = at
    while (mayContinueNumber(bytes[at])) at++
    const text = bytes.toString('latin1', start, at)
    NUMBER.lastIndex = 0
    if (NUMBER.exec(text)?.[0] !== text || !Number.isFinite(Number(text))) fail('bad-number', start)
  }
  const word = (text: string): void => {
    if (bytes.toString('latin1', at, at + text.length) === text) at += text.length
    else fail('expected-value')
  }

  const object = (visit: (key: string) => void): void =>
    list(0x7b, 0x7d, 'expected-object', () => {
      const key = string()
      if (expect(COLON, 'expected-colon')) visit(key)
    })
  const array = (visit: () => void): void => list(0x5b, 0x5d, 'expected-array', visit)
  const skip = (): Buffer => {
    const byte = peek()
    const start = at
    if (byte === undefined) fail('unexpected-end')
    else if (byte === QUOTE) string()
    else if (byte === 0x7b) object(skip)
    else if (byte === 0x5b) array(skip)
    else if (byte === MINUS || isDigit(byte)) number()
    else word(byte === 0x74 ? 'true' : byte === 0x66 ? 'false' : 'null')
    return bytes.subarray(start, at)
  }

  return {
    fault: () => fault,
    position: () => (peek(), at),
    end: () => at,
    peek,
    object,
    array,
    string,
    integer,
    null: () => (peek(), word('null')),
    skip,
    finish: () => {
      if (peek() !== undefined) fail('expected-end')
    },
    refuse,
  }
}
