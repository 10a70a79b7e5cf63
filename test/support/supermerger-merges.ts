import seedrandom from 'seedrandom'
import { expect } from 'vitest'
import { importAndBuild, worstDifference } from './imported.js'
import { SD1_BLOCKS, supermerge, type SuperRecipe } from './supermerger.js'
import { sd1File, tinySd1 } from './tiny-sd1.js'

const MODELS = { aa: { name: 'a.safetensors' }, bb: { name: 'b.safetensors' }, cc: { name: 'c.safetensors' } }
const WORDS = [
  'attn1',
  'attn2',
  'attn',
  'to_q',
  'proj',
  'mlp.fc1',
  'in_layers.2',
  'weight',
  'diffusion_model',
  'nothing',
]

/** What supermerger writes into the file of a merge. */
export const metadataOf = ({ inex, blocks, elements, ...recipe }: SuperRecipe): string =>
  JSON.stringify({
    sd_merge_recipe: {
      type: 'sd-webui-supermerger',
      model_a: 'aa',
      model_b: 'bb',
      model_c: 'cc',
      ...recipe,
      [inex]: [...blocks, ...elements.split(',')],
    },
    sd_merge_models: MODELS,
  })

/** A merge with settings as a person may make them, some of them by mistake. */
const anyMerge = (random: () => number): SuperRecipe => {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const number = (): number => Math.round(random() * 64) / 64
  const list = <T>(most: number, of: () => T): readonly T[] =>
    Array.from({ length: Math.floor(random() * (most + 1)) }, of)
  const calcmode = pick(['normal', 'normal', 'normal', 'normal', 'trainDifference', 'self'] as const)
  const mode =
    calcmode === 'trainDifference'
      ? 'Add difference'
      : pick(['Weight sum', 'Add difference', 'Triple sum', 'sum Twice'] as const)
  const mbw = random() < 0.5
  const block = (): string => pick([pick(SD1_BLOCKS), `${pick(SD1_BLOCKS)}-${pick(SD1_BLOCKS)}`, pick(SD1_BLOCKS)])
  const entry = (): string => {
    const blocks = [...(random() < 0.15 ? ['NOT'] : []), ...list(2, block)].join(pick([' ', ' ', ' ', '  ']))
    const elements = list(2, () => pick(WORDS)).join(pick([' ', ' ', '  ']))
    const text = `${blocks}:${elements}:${number()}`
    return random() < 0.15 ? ` ${text}` : random() < 0.1 ? text.replace(':', ' :') : text
  }
  const inex = pick(['Off', 'Off', 'Include', 'Exclude'] as const)
  return {
    mode,
    calcmode,
    mbw,
    base_alpha: number(),
    base_beta: number() / 4,
    weights_alpha: mbw ? Array.from({ length: 25 }, number) : null,
    weights_beta: mbw && random() < 0.5 ? Array.from({ length: 25 }, number) : null,
    elemental_merge: random() < 0.6 ? list(3, entry) : [],
    inex,
    blocks: inex === 'Off' ? [] : [...new Set(list(3, () => pick([...SD1_BLOCKS, 'VAE'])))],
    elements: inex === 'Off' ? '' : list(2, () => pick(WORDS)).join(pick([',', ', '])),
  }
}

/**
 * Imports and builds merges of any settings: each is what supermerger computes, or refused, or what differs is told.
 * Gives how many came to what.
 */
export const tryMerges = async (
  count: number,
  seed: string,
): Promise<{ readonly built: number; readonly refused: number; readonly told: number }> => {
  const random = seedrandom(seed)
  const files = { 'a.safetensors': sd1File(1), 'b.safetensors': sd1File(2), 'c.safetensors': sd1File(3) }
  const seen = { built: 0, refused: 0, told: 0 }
  for (let i = 0; i < count; i++) {
    const recipe = anyMerge(random)
    const text = metadataOf(recipe)
    const built = await importAndBuild('merged.json', text, files, ['--models', '.']).catch((error: unknown) =>
      String(error),
    )
    if (typeof built === 'string') {
      expect(built, text).toMatch(/after NOT|block weights for beta|for Weight sum|there is no block/)
      seen.refused++
    } else if (/fits two elements/.test(built.recipe)) seen.told++
    else {
      const wanted = supermerge(recipe, [tinySd1(1), tinySd1(2), tinySd1(3)])
      expect(worstDifference(built.numbers, wanted), `${text}\n${built.recipe}`).toBeLessThan(1e-6)
      seen.built++
    }
  }
  return seen
}
