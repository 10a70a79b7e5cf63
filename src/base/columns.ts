import stringWidth from 'string-width'

const COLORS = /\u001b\[[0-9;]*m/g
/** One column each: ASCII, and the signs that screens are drawn with, which a dashboard measures many times a second. */
const SINGLE = /^[\x20-\x7e\u00b7\u2013\u2014\u2018-\u201d\u2026\u2500-\u25fc\u2717]*$/

/** Made when a text needs it, which takes as long as reading a header. */
let segmenter: Intl.Segmenter | undefined

/** Terminal columns that a text takes; colours take none. */
export const widthOf = (text: string): number => {
  const bare = text.replace(COLORS, '')
  return SINGLE.test(bare) ? bare.length : stringWidth(bare)
}

/** What a reader sees as single characters, each with its offset: a letter with its marks is one, and so is an emoji. */
export const graphemesOf = (text: string): readonly { readonly segment: string; readonly index: number }[] => [
  ...(segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' })).segment(text),
]
