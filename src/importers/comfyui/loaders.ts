import {
  itsResult,
  fp8Load,
  hypernetworkNode,
  loadsConfig,
  noFile,
  runTimeNode,
  samplingMarkers,
  severalClips,
  skippedKeys,
} from '../../base/catalogue/import-comfyui.js'
import type { Lane, LaneName, LaneSource } from './lanes.js'
import type { Gap, Lora, NodeClass, Value, Visit, Widget } from './nodes.js'
import { stepOf } from './steps.js'
import { task } from './task.js'

/** A file that a node names, in the folder where ComfyUI looks for it. */
const fileOf = (visit: Visit, name: string, folder: string) => ({
  path: name.replaceAll('\\', '/'),
  folder: `models/${folder}`,
  where: visit.where,
})

/** The parts of a file that a node names. */
export const sources = (
  visit: Visit,
  widget: string,
  folder: string,
  lanes: readonly LaneName[],
  bare: boolean,
): readonly LaneSource[] | Gap => {
  const path = visit.text(widget)
  if (path === '') return visit.gap(widget, noFile)
  // ComfyUI knows a file by its path, and so do lanes that meet again.
  const id = `${folder}/${path.replaceAll('\\', '/')}`
  const file = task(() => visit.draft.model(fileOf(visit, path, folder)))
  return lanes.map((lane): LaneSource => ({ type: 'source', lane, id, file, bare, delta: false }))
}

const loader = (
  widgets: readonly Widget[],
  widget: string,
  folder: string,
  lanes: readonly LaneName[],
  bare: boolean,
  note?: string,
): NodeClass => ({
  links: {},
  widgets,
  give: (visit) => {
    if (note !== undefined) visit.draft.note(visit.where, note)
    return sources(visit, widget, folder, lanes, bare)
  },
})

const CHECKPOINT = ['model', 'clip', 'vae'] as const

/** Bakes a LoRA into parts of a checkpoint: into the model and the text encoder in one step, where both change. */
export const bakeLora = (visit: Visit, lanes: readonly Lane[], lora: Lora, index = 0): readonly Lane[] => {
  const { name, strength, clipStrength } = lora
  if (strength === 0 && clipStrength === 0) return lanes
  const adapter = task(() => visit.draft.adapter(fileOf(visit, name, 'loras')))
  const pair = {
    key: `lora ${visit.node.id} ${index}`,
    fields: ([first, file]: readonly string[]) =>
      [
        ['model', first!],
        ['adapter', file!],
        ['strength', strength],
        ...(clipStrength === strength ? [] : [['clip_strength', clipStrength] as const]),
        ['unmatched', 'ignore', skippedKeys],
      ] as const,
  }
  return lanes.map((lane) => {
    const own = lane.lane === 'model' ? strength : clipStrength
    if (own === 0) return lane
    return stepOf(visit, {
      kind: 'lora',
      op: 'adapter.apply',
      first: lane,
      more: [adapter],
      fields: ([first, file], layers) => [
        ['model', first!],
        ['adapter', file!],
        ['strength', own],
        ...layers,
        ['unmatched', 'ignore', skippedKeys],
      ],
      pair,
      index,
    })
  })
}

/** A node that bakes in one LoRA. */
const lora = (visit: Visit): readonly Value[] | Gap => {
  const name = visit.text('lora_name')
  if (name === '') return visit.gap('lora_name', noFile)
  const hasClip = visit.has('clip')
  const clipStrength = hasClip ? visit.number('strength_clip') : 0
  const lanes = hasClip ? [visit.lane('model'), visit.lane('clip')] : [visit.lane('model')]
  return bakeLora(visit, lanes, { name, strength: visit.number('strength_model'), clipStrength })
}

/** The widgets of a node that bakes in one LoRA. */
const LORA: readonly Widget[] = [
  ['lora_name', ''],
  ['strength_model', 1],
  ['strength_clip', 1],
]

/** A node of which smelt cannot say what it gives. */
export const refused = (why: string): NodeClass => ({
  links: {},
  widgets: [],
  give: (visit) => visit.gap(itsResult, why),
})

/** A node that changes how a model runs and none of its weights. */
const through = (input: 'model' | 'clip', note: string): NodeClass => ({
  links: { [input]: input },
  widgets: [],
  give: (visit) => {
    visit.draft.note(visit.where, note)
    return [visit.lane(input)]
  },
})

const RUN_TIME =
  'DifferentialDiffusion,EpsilonScaling,FreeU,FreeU_V2,FreSca,HyperTile,ModelComputeDtype,ModelSamplingAuraFlow,ModelSamplingContinuousV,ModelSamplingFlux,ModelSamplingLTXV,ModelSamplingSD3,ModelSamplingStableCascade,PatchModelAddDownscale,PerpNeg,PerturbedAttentionGuidance,RescaleCFG,SelfAttentionGuidance,SkipLayerGuidanceDiT,SkipLayerGuidanceSD3,TomePatchModel,TorchCompileModel'

/** ComfyUI's loaders, and its nodes that pass models on. */
export const LOADERS: ReadonlyMap<string, NodeClass> = new Map<string, NodeClass>([
  ['CheckpointLoaderSimple', loader([['ckpt_name', '']], 'ckpt_name', 'checkpoints', CHECKPOINT, false)],
  [
    'CheckpointLoader',
    loader(
      [
        ['config_name', 'none'],
        ['ckpt_name', ''],
      ],
      'ckpt_name',
      'checkpoints',
      CHECKPOINT,
      false,
      loadsConfig,
    ),
  ],
  ...['unCLIPCheckpointLoader', 'CheckpointLoader|pysssss'].map((type): [string, NodeClass] => [
    type,
    loader([['ckpt_name', '']], 'ckpt_name', 'checkpoints', CHECKPOINT, false),
  ]),
  [
    'UNETLoader',
    {
      links: {},
      widgets: [
        ['unet_name', ''],
        ['weight_dtype', 'default'],
      ],
      give: (visit) => {
        const dtype = visit.text('weight_dtype')
        if (dtype.startsWith('fp8')) visit.draft.note(visit.where, fp8Load(dtype))
        return sources(visit, 'unet_name', 'diffusion_models', ['model'], true)
      },
    },
  ],
  ['CLIPLoader', loader([['clip_name', '']], 'clip_name', 'text_encoders', ['clip'], true)],
  ...['DualCLIPLoader', 'TripleCLIPLoader', 'QuadrupleCLIPLoader'].map((type): [string, NodeClass] => [
    type,
    refused(severalClips),
  ]),
  ['VAELoader', loader([['vae_name', '']], 'vae_name', 'vae', ['vae'], true)],
  ['LoraLoader', { links: { model: 'model', clip: 'clip' }, widgets: LORA, give: lora }],
  ['LoraLoader|pysssss', { links: { model: 'model', clip: 'clip' }, widgets: LORA, give: lora }],
  ['LoraLoaderModelOnly', { links: { model: 'model' }, widgets: LORA.slice(0, 2), give: lora }],
  ['DM_LoRALoaderTags', { links: { model: 'model', clip: 'clip' }, widgets: [...LORA, ['tag_limit', 10]], give: lora }],
  ['CLIPSetLastLayer', through('clip', runTimeNode)],
  ['HypernetworkLoader', through('model', hypernetworkNode)],
  ['ModelSamplingDiscrete', through('model', samplingMarkers)],
  ['ModelSamplingContinuousEDM', through('model', samplingMarkers)],
  ...RUN_TIME.split(',').map((type): [string, NodeClass] => [type, through('model', runTimeNode)]),
])
