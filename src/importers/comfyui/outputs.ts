import {
  clipFile,
  clipNames,
  fromSampler,
  itsResult,
  mutedSaves,
  notMadeOf,
  nothingMerged,
  savesDifference,
  savesVision,
} from '../../base/catalogue/import-comfyui.js'
import type { DraftBuilder } from '../draft.js'
import { linksOf, whereIs, type Evaluation } from './evaluate.js'
import type { Workflow, WorkflowNode } from './graph.js'
import { rootOf, type Lane, type LaneName, type Lanes, type State } from './lanes.js'
import { extractLora, LORA_PREFIX } from './lora-save.js'
import type { Gap } from './nodes.js'
import type { Task } from './task.js'
import { readWidgets } from './widgets.js'

/** The nodes that save models: the parts they save, and where unless their user says otherwise. */
const SAVES: Readonly<Record<string, { readonly lanes: readonly LaneName[]; readonly prefix: string }>> = {
  CheckpointSave: { lanes: ['model', 'clip', 'vae'], prefix: 'checkpoints/ComfyUI' },
  ModelSave: { lanes: ['model'], prefix: 'diffusion_models/ComfyUI' },
  CLIPSave: { lanes: ['clip'], prefix: 'clip/ComfyUI' },
  VAESave: { lanes: ['vae'], prefix: 'vae/ComfyUI_vae' },
}

/** Nodes that save what smelt cannot make. */
const OTHER_SAVES: Readonly<Record<string, string>> = {
  ImageOnlyCheckpointSave: savesVision,
}

/** True for the class of a node that saves a model. */
export const isSave = (type: string): boolean =>
  Object.hasOwn(SAVES, type) || Object.hasOwn(OTHER_SAVES, type) || type === LORA_SAVE

/** The node that saves a LoRA of a difference. */
const LORA_SAVE = 'LoraSave'

/** What ComfyUI's sampling nodes call the model that they sample with. */
const SAMPLERS = new Set(['KSampler', 'KSamplerAdvanced', 'SamplerCustom', 'CFGGuider', 'BasicGuider', 'DualCFGGuider'])

/** A model to write. */
interface Wanted {
  readonly node: WorkflowNode
  readonly state: State
  readonly path: string
  readonly title: string
}

const isGap = (value: unknown): value is Gap => (value as { readonly type?: unknown }).type === 'gap'

/** The lanes that some inputs carry, or what is wrong with one of them. */
const stateOf = (evaluation: Evaluation, node: WorkflowNode, lanes: readonly LaneName[]): State | Gap => {
  const state: Partial<Record<LaneName, Lane>> = {}
  for (const lane of lanes) {
    const value = evaluation.input(node, lane, lane)
    if (value === undefined) return { type: 'gap', where: whereIs(node), what: lane, why: evaluation.unlinked }
    if (value.type === 'gap') return value
    state[lane] = value as Lane
  }
  return state
}

/** A prefix of ComfyUI as a path: without its `%date%` and the like, without what leads out of the folder. */
const pathOf = (prefix: string): readonly string[] =>
  prefix
    .replace(/%[^%]*%/g, '')
    .replaceAll('\\', '/')
    .split('/')
    .map((segment) =>
      segment
        .replace(/[^\p{L}\p{N} ._+()-]+/gu, '-')
        .replace(/^[ .-]+|[ ._-]+$/g, '')
        .slice(0, 80),
    )
    .filter((segment) => segment !== '')

const named = (segments: readonly string[], prefix: string): readonly string[] =>
  segments.length === 0 ? pathOf(prefix) : segments

/** Where a node saves, without an ending. */
const savedTo = (workflow: Workflow, node: WorkflowNode, prefix: string): Pick<Wanted, 'path' | 'title'> => {
  const given = readWidgets(workflow, node, [['filename_prefix', prefix]]).get('filename_prefix')!.value
  const segments = named(pathOf(typeof given === 'string' ? given : prefix), prefix)
  return { path: `build/${segments.join('/')}`, title: segments.at(-1)! }
}

/** The nodes that lead to some nodes by links, and those nodes. */
const upstream = (workflow: Workflow, from: readonly string[]): readonly string[] => {
  const found = new Set(from)
  for (const id of found)
    for (const link of linksOf(workflow.nodes.get(id) ?? EMPTY)) if (workflow.nodes.has(link.node)) found.add(link.node)
  return [...found]
}
const EMPTY: WorkflowNode = { id: '', type: '', title: undefined, muted: false, inputs: new Map(), widgets: [] }

/** The nodes that decode pictures, each with the nodes that lead to it. */
const decodersOf = (workflow: Workflow): readonly (readonly [id: string, upstream: ReadonlySet<string>])[] =>
  [...workflow.nodes.values()].flatMap((node) => {
    const samples = node.type.startsWith('VAEDecode') ? node.inputs.get('samples') : undefined
    return samples?.type === 'link' ? [[node.id, new Set(upstream(workflow, [samples.node]))] as const] : []
  })

/** The checkpoint that a sampling node works with: its model, the text encoder of its prompts, and the VAE of its pictures. */
const sampled = (
  workflow: Workflow,
  evaluation: Evaluation,
  decoders: ReturnType<typeof decodersOf>,
  node: WorkflowNode,
): State | Gap => {
  const model = evaluation.input(node, 'model', 'model')
  if (model === undefined) return { type: 'gap', where: whereIs(node), what: 'model', why: evaluation.unlinked }
  if (model.type === 'gap') return model
  if (rootOf(model as Lane).bare) return { model: model as Lane }
  const prompts = upstream(
    workflow,
    linksOf(node).flatMap((link) => (link === node.inputs.get('model') ? [] : [link.node])),
  )
  const laneOf = (ids: readonly string[], lane: 'clip' | 'vae'): Lane | undefined => {
    for (const id of ids) {
      const value = evaluation.input(workflow.nodes.get(id)!, lane, lane)
      if (value !== undefined && value.type !== 'gap') return value as Lane
    }
    return undefined
  }
  const clip = laneOf(
    prompts.filter((id) => workflow.nodes.get(id)?.type.startsWith('CLIPTextEncode')),
    'clip',
  )
  const own = decoders.find(([, before]) => before.has(node.id))
  const vae = own === undefined ? undefined : laneOf([own[0]], 'vae')
  // Parts that no prompt or picture uses are those of the checkpoint that the model comes from.
  const root = rootOf(model as Lane)
  return {
    model: model as Lane,
    clip: clip === undefined || rootOf(clip).bare ? { ...root, lane: 'clip' } : clip,
    vae: vae ?? { ...root, lane: 'vae' },
  }
}

const isMade = (state: State): boolean => Object.values(state).some((lane) => lane.type === 'step')

/** Writes what a workflow makes: what it saves; else what is muted but would be saved; else what it samples with. */
export const writeOutputs = (
  workflow: Workflow,
  evaluation: Evaluation,
  lanes: Lanes,
  write: (task: Task) => string,
  draft: DraftBuilder,
): void => {
  const paths = new Set<string>()
  const lack = (node: WorkflowNode, gap: Gap): void => {
    draft.missing(gap.where, gap.what, gap.why)
    if (gap.where !== whereIs(node)) draft.missing(whereIs(node), itsResult, notMadeOf(gap.where))
  }
  const wanted: Wanted[] = []
  const isAlone = ({ node }: Wanted): boolean => SAVES[node.type]?.lanes.length === 1
  const freePath = (path: string): string => {
    let free = path
    for (let n = 2; paths.has(free.toLowerCase()); n++) free = `${path}-${n}`
    paths.add(free.toLowerCase())
    return free
  }
  const loras: (Pick<Wanted, 'path' | 'title'> & { readonly task: Task })[] = []
  const output = (want: Wanted): void => {
    const { node, state, path, title } = want
    const [found, alone] = [Object.values(state), isAlone(want)]
    const delta = found.some((lane) => lane.delta)
    if (delta && !alone) return lack(node, { type: 'gap', where: whereIs(node), what: itsResult, why: savesDifference })
    if (!alone && state.clip !== undefined && rootOf(state.clip).bare)
      return lack(node, { type: 'gap', where: whereIs(node), what: 'clip', why: clipFile })
    if (node.type === 'CLIPSave') draft.note(whereIs(node), clipNames)
    const free = freePath(path)
    const from = write(alone ? lanes.alone(found[0]!) : lanes.make(state))
    draft.output(title, from, `${free}.safetensors`, delta ? [['delta', true]] : [])
  }

  const nodes = [...workflow.nodes.values()]
  const saves = nodes.filter((node) => Object.hasOwn(SAVES, node.type) || node.type === LORA_SAVE)
  const active = saves.filter((node) => !node.muted)
  const others = nodes.filter((node) => !node.muted && Object.hasOwn(OTHER_SAVES, node.type))
  for (const node of others) draft.missing(whereIs(node), itsResult, OTHER_SAVES[node.type]!)
  for (const node of active.length > 0 ? active : saves) {
    if (node.muted) draft.note(whereIs(node), mutedSaves)
    if (node.type === LORA_SAVE) {
      const made = extractLora(workflow, evaluation, lanes, draft, node)
      if (isGap(made)) lack(node, made)
      else loras.push({ ...savedTo(workflow, node, LORA_PREFIX), task: made })
      continue
    }
    const state = stateOf(evaluation, node, SAVES[node.type]!.lanes)
    if (isGap(state)) lack(node, state)
    else wanted.push({ node, state, ...savedTo(workflow, node, SAVES[node.type]!.prefix) })
  }
  const samplers =
    saves.length + others.length > 0 ? [] : nodes.filter((node) => SAMPLERS.has(node.type) && !node.muted)
  const decoders = samplers.length === 0 ? [] : decodersOf(workflow)
  const states = samplers.map((node) => ({ node, state: sampled(workflow, evaluation, decoders, node) }))
  for (const { node, state } of states) if (isGap(state)) lack(node, state)
  const made = new Map(
    states.flatMap(({ node, state }) => (isGap(state) || !isMade(state) ? [] : [[keyOf(state), { node, state }]])),
  )
  for (const { node, state } of made.values()) {
    draft.note(whereIs(node), fromSampler)
    const title = made.size > 1 && state.model?.type === 'step' ? state.model.title : 'merged'
    wanted.push({ node, state, path: `build/${named(pathOf(title), 'merged').join('-')}`, title })
  }
  // Whole checkpoints first: parts of them are then taken from them.
  for (const want of wanted) if (!isAlone(want)) lanes.make(want.state)
  for (const want of wanted) output(want)
  // As ComfyUI does, which stores LoRAs with half the digits.
  for (const { task, path, title } of loras)
    draft.output(title, write(task), `${freePath(path)}.safetensors`, [['dtype', 'f16']])
  if (saves.length + others.length === 0 && made.size === 0 && !states.some(({ state }) => isGap(state)))
    lackEverything(workflow, evaluation, draft)
}

const keyOf = (state: State): string =>
  Object.values(state)
    .map((lane) => lane.id)
    .join('|')

/** Names the nodes that make models in ways that smelt does not know, if there are any. */
const lackEverything = (workflow: Workflow, evaluation: Evaluation, draft: DraftBuilder): void => {
  const gaps = [...workflow.nodes.values()].flatMap((node) => {
    const model = node.muted ? undefined : evaluation.input(node, 'model', 'model')
    return model?.type === 'gap' ? [model] : []
  })
  for (const { where, what, why } of gaps) draft.missing(where, what, why)
  if (gaps.length === 0) draft.missing('workflow', itsResult, nothingMerged)
}
