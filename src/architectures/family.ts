/**
 * What a tensor belongs to, the finest single answer. Encoders and the VAE of a checkpoint are components of their own.
 */
export type Component = 'unet' | 'transformer' | 'vae' | 'clip_l' | 'clip_g' | 'clip_h' | 't5' | 'other'

/**
 * One kind of network as data. Paths are whole dotted segments below a root; `#` in a path stands for a number, and
 * carries over to the id.
 * What is not said here (what else a checkpoint holds) is the same for all and lives in `companions.ts`.
 */
export interface Family {
  readonly id: string
  readonly title: string
  /** The architecture id of ModelSpec, where names and shapes decide it. */
  readonly modelspec?: string
  /** Where the tensors may hang; the first under which `when` holds. */
  readonly roots: readonly string[]
  /** Tensors that are there, with their leading dimensions (0: any), or are not (false). */
  readonly when: Readonly<Record<string, readonly number[] | false>>
  readonly component: Component
  /** Every segment that its names consist of, numbers and {@link LEAVES} aside. */
  readonly words: ReadonlySet<string>
  /** True for what a checkpoint calls its diffusion model. */
  readonly diffusion: boolean
  /** Path to block id, in the order of the blocks; the first that fits. */
  readonly blocks: readonly (readonly [path: string, block: string])[]
  /** Group id, then the runs of whole segments that put a tensor in it, anywhere in its path. */
  readonly groups: readonly (readonly [group: string, ...runs: string[]])[]
  /** The blocks that accompanying text encoders count as. */
  readonly encoders: { readonly clip: string; readonly t5: string }
  /** Block-weight lists of the field, each as the block of every position. */
  readonly mbw: readonly (readonly string[])[]
  /** Blocks that the lists have no number for, and the block whose number they take there. */
  readonly followers?: Readonly<Record<string, string>>
  /** Blocks by depth where the field has fixed them; elsewhere computed from their order. */
  readonly shells?: Readonly<Record<Shell, readonly string[]>>
}

/** What tensors of modules are called in any network, and what quantised ones have beside them. */
export const LEAVES: ReadonlySet<string> = new Set([
  'weight',
  'bias',
  'scale',
  'scale_weight',
  'scale_input',
  'weight_scale',
  'weight_scale_inv',
  'input_scale',
  'comfy_quant',
])

/** A set of words. */
export const words = (...lines: readonly string[]): ReadonlySet<string> =>
  new Set(lines.flatMap((line) => line.split(' ')))

/** How deep a block lies: near the ends, between, or in the middle. */
export type Shell = 'exterior' | 'interior' | 'core'

/** `in.0 … in.11`, for block lists. */
export const numbered = (stem: string, from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `${stem}.${from + index}`)
