import type { AdapterModule, Role } from './modules.js'

/** Kinds of adapters by a role that tells each, the more telling first. */
const TELLING: readonly (readonly [role: Role, kind: string])[] = [
  ['blocks', 'OFT'],
  ['skew', 'OFT'],
  ['embedding-skew', 'OFT'],
  ['butterfly', 'BOFT'],
  ['left', 'LoKr'],
  ['left_a', 'LoKr'],
  ['right', 'LoKr'],
  ['right_a', 'LoKr'],
  ['w1_a', 'LoHa'],
  ['w2_a', 'LoHa'],
  ['a1', 'GLoRA'],
  ['factor', '(IA)³'],
  ['whole-factor', '(IA)³'],
  ['mid', 'LoCon'],
  ['up', 'LoRA'],
  ['down', 'LoRA'],
]

/** Levels of blocks before the blocks themselves. */
const BUTTERFLY_AXES = 4

/** What the field calls the adapter of one module, such as `LoKr` or `LoRA with DoRA`. */
export const kindOf = ({ tensors }: AdapterModule): string => {
  const kind = TELLING.find(([role]) => tensors.has(role))?.[1] ?? 'differences'
  if (tensors.get('blocks')?.shape.length === BUTTERFLY_AXES) return 'BOFT'
  return tensors.has('magnitude') || tensors.has('output-magnitude') ? `${kind} with DoRA` : kind
}
