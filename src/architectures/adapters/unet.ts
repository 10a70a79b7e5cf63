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

/**
 * Residual blocks and what ends them, in each level of a U-Net of Stable Diffusion: two going down, three places in the
 * list.
 */
const PLACES = 3

const residual = (path: string): string => RESIDUAL.find(([ldm]) => ldm === path)?.[1] ?? path

/**
 * What diffusers calls a module of a U-Net in the original names of Stable Diffusion, below the diffusion model's
 * prefix.
 * It numbers blocks by level and place, where the original counts through.
 */
export const diffusersNames = (path: string): readonly string[] => {
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
  const n = side === 'input' ? Number(number) - 1 : Number(number)
  const [level, place] = [Math.floor(n / PLACES), n % PLACES]
  const blocks = side === 'input' ? `down_blocks.${level}` : `up_blocks.${level}`
  if (rest === 'op') return [`${blocks}.downsamplers.0.conv`]
  if (rest === 'conv') return [`${blocks}.upsamplers.0.conv`]
  return [part === '0' ? `${blocks}.resnets.${place}.${residual(rest)}` : `${blocks}.attentions.${place}.${rest}`]
}

/** What older diffusers call a module of attention, which they reach through its processor. */
export const processorName = (path: string): string | undefined => {
  const match = /^(.+)\.to_(q|k|v|out\.0)$/.exec(path)
  return match === null ? undefined : `${match[1]}.processor.to_${match[2]!.replace('.0', '')}`
}

/** What tells a U-Net of Stable Diffusion in the form of diffusers. */
const DIFFUSERS_UNET = ['conv_in.weight', 'conv_out.weight', 'down_blocks.0.resnets.0.conv1.weight']

const originalPart = (path: string): string => RESIDUAL.find(([, diffusers]) => diffusers === path)?.[0] ?? path

/**
 * What the original names of Stable Diffusion are for a module of a U-Net in the form of diffusers, the inverse of
 * {@link diffusersNames}; undefined for networks that are none. `names` are those of all tensors.
 */
export const originalNames = (
  names: ReadonlyMap<string, unknown>,
): ((path: string) => string | undefined) | undefined => {
  if (!DIFFUSERS_UNET.every((name) => names.has(name))) return undefined
  const top = new Map(Object.entries(TOP).flatMap(([original, paths]) => paths.map((path) => [path, original])))
  // What ends a level comes after its attention, if it has one.
  const attentive = new Set(
    [...names.keys()].flatMap((name) => /^up_blocks\.(\d+)\.attentions\./.exec(name)?.[1] ?? []),
  )
  return (path) => {
    const known = top.get(path)
    if (known !== undefined) return known
    const middle = /^mid_block\.(resnets|attentions)\.(\d+)\.(.+)$/.exec(path)
    if (middle !== null) {
      const [, kind, number, rest] = middle
      return kind === 'attentions'
        ? `middle_block.1.${rest}`
        : `middle_block.${2 * Number(number)}.${originalPart(rest!)}`
    }
    const block = /^(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)$/.exec(path)
    if (block === null) return undefined
    const [, side, level, kind, place, rest] = block as unknown as readonly string[]
    const first = PLACES * Number(level) + (side === 'down' ? 1 : 0)
    if (kind === 'downsamplers') return `input_blocks.${first + PLACES - 1}.0.op`
    if (kind === 'upsamplers') return `output_blocks.${first + PLACES - 1}.${attentive.has(level!) ? 2 : 1}.conv`
    const blocks = `${side === 'down' ? 'input' : 'output'}_blocks.${first + Number(place)}`
    return kind === 'resnets' ? `${blocks}.0.${originalPart(rest!)}` : `${blocks}.1.${rest}`
  }
}
