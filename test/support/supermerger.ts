import { blockOf } from './tiny-sd1.js'
import type { Numbers } from './imported.js'

/** What supermerger writes of a merge, as far as this follows it. */
export interface SuperRecipe {
  readonly mode: 'Weight sum' | 'Add difference' | 'Triple sum' | 'sum Twice'
  readonly calcmode: 'normal' | 'trainDifference' | 'self'
  readonly mbw: boolean
  readonly base_alpha: number
  readonly base_beta: number
  readonly weights_alpha: readonly number[] | null
  readonly weights_beta: readonly number[] | null
  readonly elemental_merge: readonly string[]
  readonly inex: 'Off' | 'Include' | 'Exclude'
  /** Blocks that are ticked. */
  readonly blocks: readonly string[]
  /** What is typed below them. */
  readonly elements: string
}

const two = (n: number | string): string => String(n).padStart(2, '0')
const numbered = (stem: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `${stem}${two(i)}`)
export const SD1_BLOCKS = ['BASE', ...numbered('IN', 12), 'M00', ...numbered('OUT', 12)]
const FLUX_BLOCKS = ['CLIP', 'T5', 'IN', ...numbered('D', 19), ...numbered('S', 38), 'OUT']

const XL_BLOCKS = ['BASE', ...numbered('IN', 9), 'M00', ...numbered('OUT', 9)]
const BLOCKS_OF = { sd: SD1_BLOCKS, xl: XL_BLOCKS, flux: FLUX_BLOCKS } as const

/** The networks that supermerger has blocks for. */
export type Network = keyof typeof BLOCKS_OF

/** The block that supermerger counts a tensor to; nothing for one that it leaves. */
const superBlock = (key: string, network: Network): string | undefined => {
  if (network === 'xl') {
    if (/label_emb|time_embed/.test(key)) return undefined
    return key.includes('diffusion_model') ? ({ OUT: 'OUT08' }[blockOf(key)] ?? blockOf(key)) : 'BASE'
  }
  if (network === 'sd') {
    const block = blockOf(key)
    return { VAE: 'BASE', TIME: 'OUT11', OUT: 'OUT11' }[block] ?? block
  }
  const number = /\.(\d+)\./.exec(key)?.[1]
  if (key.includes('vae')) return undefined
  if (key.includes('t5xxl')) return 'T5'
  if (key.includes('text_encoders.clip')) return 'CLIP'
  if (key.includes('double_blocks')) return `D${two(number!)}`
  if (key.includes('single_blocks')) return `S${two(number!)}`
  return key.includes('_in') ? 'IN' : key.includes('final_layer') ? 'OUT' : undefined
}

/** Blocks as they are typed, with ranges written out; words between single spaces, so that two make an empty one. */
const blocker = (text: string): string => {
  let output = ''
  for (const word of text.split(' ')) {
    const [from, to] = word.split('-').map((w) => SD1_BLOCKS.indexOf(w.trim()))
    const found = to === undefined ? [word] : SD1_BLOCKS.slice(Math.min(from!, to), Math.max(from!, to) + 1)
    for (const one of found) output = output === '' ? one : `${output} ${one}`
  }
  return output
}

/** True where a list of words, after `NOT` or not, says something of a text. */
const says = (words: readonly string[], text: string): boolean => {
  const isNot = words[0] === 'NOT'
  return (isNot ? words.slice(1) : words).some((word) => text.includes(word)) !== isNot
}

const elemental = (entries: readonly string[], key: string, block: string, alpha: number): number => {
  const text = key + block
  return entries.reduce((now, entry) => {
    const parts = entry.split(':')
    if (parts.length !== 3) return now
    return says(blocker(parts[0]!).split(' '), text) && says(parts[1]!.split(' '), text) ? Number(parts[2]) : now
  }, alpha)
}

/** Ticked blocks and typed words each turn the answer over. */
const isLeft = ({ inex, blocks, elements }: SuperRecipe, key: string, block: string): boolean => {
  const words = elements.split(',')
  if (inex === 'Off' || (blocks.length === 0 && elements === '')) return false
  let left = inex === 'Include'
  if (blocks.includes(block)) left = !left
  for (const word of words) if (word !== '' && key.includes(word)) left = !left
  if (blocks.includes('VAE') && key.includes('first_stage_model')) left = !left
  return left
}

/** A merge as supermerger computes it, tensor by tensor. */
export const supermerge = (
  recipe: SuperRecipe,
  [A, B, C]: readonly [Numbers, Numbers, Numbers],
  network: Network = 'sd',
): Numbers =>
  Object.fromEntries(
    Object.entries(A).map(([key, a]) => {
      const [b, c, block] = [B[key], C[key], superBlock(key, network)]
      const isThree =
        recipe.mode === 'Triple sum' || recipe.mode === 'sum Twice' || recipe.calcmode === 'trainDifference'
      const isNamed = (network === 'flux' || key.includes('model')) && /weight|bias/.test(key)
      if (!isNamed || b === undefined || block === undefined || (isThree && c === undefined)) return [key, a]
      if (isLeft(recipe, key, block)) return [key, a]
      const index = BLOCKS_OF[network].indexOf(block)
      const byBlock = recipe.mbw && index > 0
      const alpha = elemental(
        recipe.elemental_merge,
        key,
        block,
        byBlock ? recipe.weights_alpha![index - 1]! : recipe.base_alpha,
      )
      const beta =
        byBlock && isThree && recipe.weights_beta !== null ? recipe.weights_beta[index - 1]! : recipe.base_beta
      if (recipe.calcmode === 'self') {
        const stays = alpha === 0 || ['to_out', 'proj_out', 'norm'].some((word) => key.includes(word))
        return [key, stays ? a : a.map((x) => alpha * x)]
      }
      return [
        key,
        a.map((x, i) => {
          const [y, z] = [b[i]!, c?.[i] ?? b[i]!]
          if (recipe.calcmode === 'trainDifference') {
            const [far, near] = [Math.abs(y - z), Math.abs(y - x)]
            return far + near === 0 ? x : x + alpha * 1.8 * (near / (far + near)) * (y - z)
          }
          switch (recipe.mode) {
            case 'Weight sum':
              return (1 - alpha) * x + alpha * y
            case 'Add difference':
              return x + alpha * (y - z)
            case 'Triple sum':
              return (1 - alpha - beta) * x + alpha * y + beta * z
            case 'sum Twice':
              return (1 - beta) * ((1 - alpha) * x + alpha * y) + beta * z
          }
        }),
      ]
    }),
  )
