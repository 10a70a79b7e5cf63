/** What a residual block's parts are called by diffusers. */
const RESIDUAL: readonly (readonly [ldm: string, diffusers: string])[] = [
  ['in_layers.0', 'norm1'],
  ['in_layers.2', 'conv1'],
  ['emb_layers.1', 'time_emb_proj'],
  ['out_layers.0', 'norm2'],
  ['out_layers.3', 'conv2'],
  ['skip_connection', 'conv_shortcut'],
]

const TOP: Readonly<Record<string, readonly string[]>> = {
  'time_embed.0': ['time_embedding.linear_1'],
  'time_embed.2': ['time_embedding.linear_2'],
  'label_emb.0.0': ['add_embedding.linear_1', 'class_embedding.linear_1'],
  'label_emb.0.2': ['add_embedding.linear_2', 'class_embedding.linear_2'],
  'input_blocks.0.0': ['conv_in'],
  'out.0': ['conv_norm_out'],
  'out.2': ['conv_out'],
}

/** Where each level of a U-Net begins: numbers of the blocks that go down, and of those that go up. */
export interface Levels {
  readonly down: readonly number[]
  readonly up: readonly number[]
}

/**
 * Those of Stable Diffusion: two residual blocks and what ends them in each level going down, three residual blocks
 * going up.
 */
export const USUAL_LEVELS: Levels = { down: [1, 4, 7, 10], up: [0, 3, 6, 9] }

const residual = (path: string): string => RESIDUAL.find(([ldm]) => ldm === path)?.[1] ?? path
const originalPart = (path: string): string => RESIDUAL.find(([, diffusers]) => diffusers === path)?.[0] ?? path

const numbersOf = (paths: readonly string[], pattern: RegExp): readonly number[] =>
  [...new Set(paths.flatMap((path) => pattern.exec(path)?.[1] ?? []).map(Number))].sort((x, y) => x - y)

/** True for numbers that run from 0 on without a gap. */
const isRow = (numbers: readonly number[]): boolean => numbers.every((n, i) => n === i) && numbers.length > 0

/**
 * The levels of a U-Net in the original names of Stable Diffusion, whatever its depth: a level ends where it is sampled
 * down or up. Undefined for paths that are not those of a whole U-Net.
 */
export const findLevels = (paths: readonly string[]): Levels | undefined => {
  const ends = numbersOf(paths, /^input_blocks\.(\d+)\.0\.op\./)
  const tops = numbersOf(paths, /^output_blocks\.(\d+)\.\d\.conv\./)
  const whole =
    isRow(numbersOf(paths, /^input_blocks\.(\d+)\./)) &&
    isRow(numbersOf(paths, /^output_blocks\.(\d+)\./)) &&
    ends.length === tops.length
  return whole ? { down: [1, ...ends.map((n) => n + 1)], up: [0, ...tops.map((n) => n + 1)] } : undefined
}

/**
 * What diffusers calls a module of a U-Net in the original names of Stable Diffusion, below the diffusion model's
 * prefix.
 * It numbers blocks by level and place, where the original counts through.
 */
export const diffusersNames = (path: string, levels: Levels = USUAL_LEVELS): readonly string[] => {
  const top = TOP[path]
  if (top !== undefined) return top
  const middle = /^middle_block\.([012])\.(.+)$/.exec(path)
  if (middle !== null) {
    const [, place, rest] = middle
    return [
      place === '1' ? `mid_block.attentions.0.${rest}` : `mid_block.resnets.${Number(place) / 2}.${residual(rest!)}`,
    ]
  }
  const block = /^(input|output)_blocks\.(\d+)\.(\d)\.(.+)$/.exec(path)
  if (block === null) return []
  const [, side, number, part, rest] = block as unknown as readonly [string, 'input' | 'output', string, string, string]
  const firsts = levels[side === 'input' ? 'down' : 'up']
  const level = firsts.findLastIndex((first) => first <= Number(number))
  if (level < 0) return []
  const blocks = `${side === 'input' ? 'down' : 'up'}_blocks.${level}`
  if (rest === 'op') return [`${blocks}.downsamplers.0.conv`]
  if (rest === 'conv') return [`${blocks}.upsamplers.0.conv`]
  const place = Number(number) - firsts[level]!
  return [part === '0' ? `${blocks}.resnets.${place}.${residual(rest)}` : `${blocks}.attentions.${place}.${rest}`]
}

/** What older diffusers call a module of attention, which they reach through its processor. */
export const processorName = (path: string): string | undefined => {
  const match = /^(.+)\.to_(q|k|v|out\.0)$/.exec(path)
  return match === null ? undefined : `${match[1]}.processor.to_${match[2]!.replace('.0', '')}`
}

/** What tells a U-Net of Stable Diffusion in its original names, and in those of diffusers. */
const ORIGINAL_UNET = ['input_blocks.0.0.weight', 'out.2.weight', 'middle_block.0.in_layers.2.weight']
const DIFFUSERS_UNET = ['conv_in.weight', 'conv_out.weight', 'down_blocks.0.resnets.0.conv1.weight']

/** The levels of a U-Net in the form of diffusers; undefined where blocks are missing. */
const diffusersLevels = (paths: readonly string[]): Levels | undefined => {
  const sides = (['down', 'up'] as const).map((side): readonly number[] | undefined => {
    const levels = numbersOf(paths, new RegExp(`^${side}_blocks\\.(\\d+)\\.`))
    if (!isRow(levels)) return undefined
    const firsts = [side === 'down' ? 1 : 0]
    for (const level of levels) {
      const resnets = numbersOf(paths, new RegExp(`^${side}_blocks\\.${level}\\.resnets\\.(\\d+)\\.`))
      const sampler = paths.some((path) => path.startsWith(`${side}_blocks.${level}.${side}samplers.0.`))
      // Every level but the last is sampled.
      if (!isRow(resnets) || sampler !== level < levels.length - 1) return undefined
      firsts.push(firsts.at(-1)! + resnets.length + (side === 'down' ? 1 : 0))
    }
    return firsts.slice(0, -1)
  })
  const [down, up] = sides
  return down === undefined || up === undefined ? undefined : { down, up }
}

/**
 * What the original names of Stable Diffusion are for a module of a U-Net in the form of diffusers, the inverse of
 * {@link diffusersNames}.
 */
const originalNames = (paths: readonly string[], levels: Levels): ((path: string) => readonly string[]) => {
  const top = new Map(Object.entries(TOP).flatMap(([original, names]) => names.map((name) => [name, original])))
  // What ends a level comes after its attention, if it has one.
  const attentive = new Set(paths.flatMap((name) => /^up_blocks\.(\d+)\.attentions\./.exec(name)?.[1] ?? []))
  return (path) => {
    const known = top.get(path)
    if (known !== undefined) return [known]
    const middle = /^mid_block\.(resnets|attentions)\.(\d+)\.(.+)$/.exec(path)
    if (middle !== null) {
      const [, kind, number, rest] = middle
      return [
        kind === 'attentions' ? `middle_block.1.${rest}` : `middle_block.${2 * Number(number)}.${originalPart(rest!)}`,
      ]
    }
    const block = /^(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)$/.exec(path)
    if (block === null) return []
    const [, side, level, kind, place, rest] = block as unknown as readonly string[]
    const firsts = levels[side as 'down' | 'up']
    const first = firsts[Number(level)]!
    const next = firsts[Number(level) + 1] ?? 0
    if (kind === 'downsamplers') return [`input_blocks.${next - 1}.0.op`]
    if (kind === 'upsamplers') return [`output_blocks.${next - 1}.${attentive.has(level!) ? 2 : 1}.conv`]
    const blocks = `${side === 'down' ? 'input' : 'output'}_blocks.${first + Number(place)}`
    return [kind === 'resnets' ? `${blocks}.0.${originalPart(rest!)}` : `${blocks}.1.${rest}`]
  }
}

/** How a U-Net spells its modules in the form that it has not. */
export interface UnetNames {
  readonly form: 'original' | 'diffusers'
  readonly other: (path: string) => readonly string[]
}

/**
 * Says how a U-Net of Stable Diffusion's kind spells its modules in the form that it has not, by its paths below its
 * root; undefined for networks that are none. Levels are found if all blocks are there, and else, where the
 * architecture is `known`, those of Stable Diffusion.
 */
export const unetNames = (paths: readonly string[], known: boolean): UnetNames | undefined => {
  const names = new Set(paths)
  if (DIFFUSERS_UNET.every((name) => names.has(name))) {
    const levels = diffusersLevels(paths)
    return levels && { form: 'diffusers', other: originalNames(paths, levels) }
  }
  if (!known && !ORIGINAL_UNET.every((name) => names.has(name))) return undefined
  const levels = findLevels(paths) ?? (known ? USUAL_LEVELS : undefined)
  return levels && { form: 'original', other: (path) => diffusersNames(path, levels) }
}
