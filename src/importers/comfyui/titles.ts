import type { WorkflowNode } from './graph.js'

/** What the nodes are called that their users did not name. */
const DISPLAYED: Readonly<Record<string, string>> = {
  CheckpointLoader: 'Load Checkpoint With Config (DEPRECATED)',
  CheckpointLoaderSimple: 'Load Checkpoint',
  CheckpointSave: 'Save Checkpoint',
  CLIPSave: 'CLIPSave',
  LoraLoader: 'Load LoRA',
  LoraLoaderModelOnly: 'LoraLoaderModelOnly',
  UNETLoader: 'Load Diffusion Model',
  VAELoader: 'Load VAE',
  DM_AdvancedDareModelMerger: 'Model Merger (Advanced/DARE)',
  DM_AdvancedModelMerger: 'Model Merger (Advanced)',
  DM_BlockModelMerger: 'Model Merger (Block)',
  DM_DareClipMerger: 'CLIP Merger (DARE)',
  DM_DareModelMerger: 'Model Merger (DARE)',
  DM_DareModelMergerBlock: 'Model Merger (Block/DARE)',
  DM_DareModelMergerElement: 'Model Merger (Attention/DARE)',
  DM_DareModelMergerMBW: 'Model Merger (MBW/DARE)',
  DM_LoRALoaderTags: 'LoRA Loader (Tags)',
  DM_MaskedModelMerger: 'Model Merger (Masked)',
}

/** Letters and digits of a class or title, for which `Model Merge Simple` and `ModelMergeSimple` are one. */
const plain = (text: string): string =>
  text
    .replace(/^DM_/, '')
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '')

/** True for a title that its user gave a node. */
export const isOwnTitle = ({ title, type }: WorkflowNode): boolean =>
  title !== undefined &&
  /[A-Za-z]/.test(title) &&
  ![type, DISPLAYED[type] ?? type].some((usual) => plain(usual) === plain(title)) &&
  !/^model ?merger \(/i.test(title)
