import type { Spelling } from './spelling.js'

/** What XLabs' trainer adapts of a block with two streams, which it numbers: the image's, then the text's. */
const DOUBLE: Readonly<Record<string, string>> = {
  'img_attn.qkv': 'qkv_lora1',
  'txt_attn.qkv': 'qkv_lora2',
  'img_attn.proj': 'proj_lora1',
  'txt_attn.proj': 'proj_lora2',
}

/**
 * How XLabs' trainer spells the modules of Flux that it adapts: as parts of the processor of a block. In blocks with
 * one stream the projections
 * of attention are the first rows of a fused tensor, three times the `width` of the network.
 */
export const xlabsNames = (path: string, width: number): readonly Spelling[] => {
  const match = /^(double|single)_blocks\.(\d+)\.(.+)$/.exec(path)
  if (match === null) return []
  const [, kind, number, rest] = match as unknown as readonly [string, string, string, string]
  const inside = `${kind}_blocks.${number}.processor`
  if (kind === 'double') return DOUBLE[rest] === undefined ? [] : [{ path: `${inside}.${DOUBLE[rest]}` }]
  if (rest === 'linear1') return [{ path: `${inside}.qkv_lora`, rows: { first: 0, count: 3 * width } }]
  return rest === 'linear2' ? [{ path: `${inside}.proj_lora` }] : []
}
