import type { Diagnostic } from '../diagnostic.js'
import { commandOn, quoteName, refusal } from './file-entry.js'

/** Reads tensors of a checkpoint without running anything in it; `state_dict` is where many trainers keep them. */
const CONVERT =
  'python -c "import sys, torch; from safetensors.torch import save_file; ' +
  "d = torch.load(sys.argv[1], map_location='cpu', weights_only=True); d = d.get('state_dict', d); " +
  'save_file({k: v.clone().contiguous() for k, v in d.items() if torch.is_tensor(v)}, sys.argv[2])" IN OUT.safetensors'

/** A GGUF file, by its first bytes. */
export const ggufFile = (path: string): Diagnostic =>
  refusal(
    'gguf-file',
    path,
    `${path} is a GGUF file, which is mostly quantised and cannot be merged`,
    'use the safetensors checkpoint that it was made from',
  )

/** A git-lfs pointer, by its first line. */
export const gitLfsPointer = (path: string): Diagnostic =>
  refusal(
    'git-lfs-pointer',
    path,
    `${path} is a git-lfs pointer, not the file it stands for`,
    'run `git lfs pull` in its repository',
  )

/** What PyTorch wrote before version 1.6 in place of zip archives. */
const OLD_FORMATS = {
  pickle: 'a Python pickle, as PyTorch wrote its checkpoints before version 1.6',
  tar: 'a tar archive, as PyTorch wrote its checkpoints before version 0.1.10',
} as const

/** A checkpoint of an old format, by its first bytes, with how to convert it. */
export const oldCheckpoint = (path: string, kind: keyof typeof OLD_FORMATS): Diagnostic =>
  refusal(
    'pickle-checkpoint',
    path,
    `${path} is ${OLD_FORMATS[kind]}; smelt reads those of later versions`,
    `convert it with PyTorch 2.10 or newer: ${CONVERT}`,
  )

/** A zip archive where only safetensors are read, such as among the shards of an index. */
export const zipCheckpoint = (path: string): Diagnostic =>
  refusal(
    'pickle-checkpoint',
    path,
    `${path} is a zip archive, as PyTorch writes its checkpoints, not safetensors`,
    `convert it: ${commandOn('smelt convert', path)}`,
  )

/** A text file where a safetensors file should be. */
export const textFile = (path: string, start: string): Diagnostic =>
  refusal(
    'text-file',
    path,
    `${path} is a text file, not safetensors; it begins with ${quoteName(start)}`,
    /\.ya?ml$/i.test(path)
      ? 'pass a model: this looks like a recipe, which `smelt plan` shows'
      : 'open it in an editor: a download may have saved an error message of the site; then download the model again',
  )

/** A web page, which downloads that need a login often give. */
export const webPage = (path: string): Diagnostic =>
  refusal(
    'web-page',
    path,
    `${path} is a web page, not safetensors`,
    'log in to the site and download again: links that need a login give such a page',
  )
