/** Compares texts by code point, as the reference sorts names (its strings are UTF-8, whose byte order this is). */
export const compareNames = (x: string, y: string): number => {
  const length = Math.min(x.length, y.length)
  for (let i = 0; i < length; i++) {
    const a = x.charCodeAt(i)
    const b = y.charCodeAt(i)
    if (a !== b) return rank(a) - rank(b)
  }
  return x.length - y.length
}

/** Surrogates stand for code points above U+FFFF, so they come after U+E000..U+FFFF, though smaller as units. */
const rank = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit)
