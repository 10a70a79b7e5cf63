import { join } from 'node:path'
import { SCALE_OF_ONE } from '../architectures/adapters/scale.js'
import { adapterFolderNames, adapterNeedsFolder, filesOfAdapter } from '../base/catalogue/adapter-outputs.js'
import { failed, ok, type Result } from '../base/result.js'
import type { AdapterValue } from '../operators/value.js'
import type { Output } from '../recipe/recipe.js'
import { PEFT_CONFIG } from '../safetensors/adapter-file.js'
import type { WholeFile } from './plan.js'

const SPACES = 2

/**
 * The config beside an adapter that is written as a folder, with which PEFT loads it. Other names than PEFT's have none,
 * and one that holds the scale has to be written.
 */
export const planPeftConfig = (
  { config, metadata }: AdapterValue['file'],
  output: Output,
  folder: string,
): Result<readonly WholeFile[]> => {
  const { path, pathAt } = output
  if (output.folder && output.files !== undefined) return failed(filesOfAdapter(output.files.at, path))
  if (output.folder)
    return config === undefined
      ? failed(adapterFolderNames(pathAt, path))
      : ok([{ path: join(folder, PEFT_CONFIG), bytes: Buffer.from(`${JSON.stringify(config, null, SPACES)}\n`) }])
  const [key, one] = SCALE_OF_ONE
  return config === undefined || metadata.get(key) === one ? ok([]) : failed(adapterNeedsFolder(pathAt, path))
}
