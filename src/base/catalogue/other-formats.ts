import type { Diagnostic } from '../diagnostic.js'
import { quoteName, refusal } from './file-entry.js'

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

/** A checkpoint in pickle form, by its first bytes, with how to convert it. */
export const pickleCheckpoint = (path: string, kind: 'pickle' | 'zip'): Diagnostic => {
  const what = kind === 'zip' ? 'a zip archive, as PyTorch writes its checkpoints' : 'a Python pickle'
  return refusal(
    'pickle-checkpoint',
    path,
    `${path} is ${what}, not safetensors; reading it could run code hidden in it`,
    `convert it with PyTorch 2.10 or newer: ${CONVERT}`,
  )
}

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
