import type { DraftBuilder } from '../draft.js'
import type { WorkflowNode } from './graph.js'
import type { Lane, Lanes } from './lanes.js'
import type { Task } from './task.js'

/** The name of a widget, and its value in a new node. */
export type Widget = readonly [name: string, value: number | string | boolean]

/** What links carry, as far as merging needs it. */
export type Kind = 'model' | 'clip' | 'vae' | 'mask' | 'weights' | 'loras' | 'models' | 'value'

/** A LoRA by its file, and its strengths for the model and the text encoder. */
export interface Lora {
  readonly name: string
  readonly strength: number
  readonly clipStrength: number
}

/** A checkpoint of a list, and the shares that are merged of its model and its text encoder. */
export interface Stacked {
  readonly model: Lane
  readonly clip: Lane
  readonly ratio: number
  readonly clipRatio: number
}

/** Something that smelt cannot say, and why. */
export interface Gap {
  readonly type: 'gap'
  readonly where: string
  readonly what: string
  readonly why: string
}

/** What an output of a node carries. */
export type Value =
  | Lane
  | { readonly type: 'mask'; readonly task: Task }
  /** `like` is a model whose layers the numbers are for. */
  | { readonly type: 'weights'; readonly task: Task; readonly like: Lane }
  | { readonly type: 'loras'; readonly loras: readonly Lora[] }
  | { readonly type: 'models'; readonly models: readonly Stacked[] }
  | { readonly type: 'value'; readonly value: unknown }
  | Gap

/** A node with its inputs read: by the names that its class declares. */
export interface Visit {
  readonly node: WorkflowNode
  /** Where the node is, for messages. */
  readonly where: string
  /** What its step is called: its title, or `kind_17`. */
  title(kind: string): string
  /** True for a link that is there, and a widget that the node's version has. */
  has(name: string): boolean
  lane(input: string): Lane
  mask(input: string): Task | undefined
  weights(input: string): Extract<Value, { readonly type: 'weights' }>
  /** The LoRAs of a list; none where nothing is linked. */
  loras(input: string): readonly Lora[]
  /** The checkpoints of a list; none where nothing is linked. */
  models(input: string): readonly Stacked[]
  number(widget: string): number
  /** A seed: as text where it has more digits than a number keeps. */
  seed(): number | string
  text(widget: string): string
  flag(widget: string): boolean
  /** Grows from node to node; results are never made before what they need. */
  readonly order: number
  readonly draft: DraftBuilder
  readonly lanes: Lanes
  gap(what: string, why: string): Gap
}

/** How nodes of a class are read, and what they give. */
export interface NodeClass {
  /** Inputs that are linked; with `?` where the node runs without. */
  readonly links: Readonly<Record<string, Kind | `${Kind}?`>>
  /** Its widgets in order, which differ by version. */
  readonly widgets: readonly Widget[] | ((node: WorkflowNode) => readonly Widget[])
  /** Other names of the same input in older versions: current → older. */
  readonly renamed?: Readonly<Record<string, string>>
  /** What its outputs carry, in order; one gap stands for all. */
  readonly give: (visit: Visit) => readonly Value[] | Gap
}
