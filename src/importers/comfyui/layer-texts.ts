import { layersOnLines, layersOpenEnded } from '../../base/catalogue/import-comfyui.js'
import type { Yaml } from '../../document/write.js'
import type { Visit } from './nodes.js'

/** Parts between commas, those inside braces kept together. */
const split = (text: string): readonly string[] => text.match(/(?:\{[^{}]*\}|[^,])+/g) ?? []

/** Names that nothing but U-Nets has. */
const OF_U_NETS = /^\*\*\.(to_[qkv]|to_out|attn[12]|transformer_blocks)\b/

/** A part as a layer pattern: `*` crosses dots there, and a part selects what its name begins. */
const pattern = (part: string): string =>
  part
    .split('.')
    .filter((segment, i, all) => segment !== '' && !(segment === '*' && i === all.length - 1 && i > 0))
    .map((segment, i) =>
      segment === '*'
        ? '**'
        : i === 0 && segment.startsWith('*') && !segment.startsWith('**')
          ? `**.${segment}`
          : segment,
    )
    .join('.')

/**
 * The layers of a node's text as the value and comment of a key; undefined where the text names none. The nodes remove
 * blanks and lines before they split at commas. With `inside`, wildcards at the beginning stay in that part of a checkpoint.
 */
export const layerPatterns = (visit: Visit, text: string, inside?: string): readonly [Yaml, string?] | undefined => {
  const lines = text.split(/\r\n|\r|\n/).filter((line) => line.trim() !== '')
  if (lines.length > 1 && lines.slice(0, -1).some((line) => !line.trimEnd().endsWith(',')))
    visit.draft.note(visit.where, layersOnLines)
  const parts = split(lines.join(',').replace(/\s/g, '')).filter((part) => /[^.,]/.test(part))
  const patterns = [...new Set(parts.map(pattern))]
    .filter((p) => p !== '')
    .map((p) => (inside !== undefined && p.startsWith('**') && !OF_U_NETS.test(p) ? `${inside}.${p}` : p))
  if (patterns.length === 0) return undefined
  const value = patterns.length === 1 ? patterns[0]! : patterns
  return parts.some((part) => /\d\*|\w\*\w/.test(part)) ? [value, layersOpenEnded(parts.join(','))] : [value]
}
