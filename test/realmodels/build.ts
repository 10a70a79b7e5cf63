import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from '#src/run/build.js'
import type { Steps } from './merges.js'
import { readWeights, type Weights } from './network.js'
import { FOLDER, type Net } from './results.js'

const FILES = {
  base: 'base',
  A: 'A',
  B: 'B',
  C: 'C',
  A16: 'fp16/A',
  B16: 'fp16/B',
  base16: 'fp16/base',
  mask_A: 'mask_A',
  mask_B: 'mask_B',
}

/** The same LoRA, three times. */
const ADAPTERS = {
  lora_peft: 'lora_D_peft',
  lora_kohya: 'lora_D_kohya.safetensors',
  lora_kohya16: 'fp16/lora_D_kohya.safetensors',
}

const isName = (value: unknown, names: Steps): value is string => typeof value === 'string' && value in names

/** Renames the steps of one merge, so that many merges stand in one recipe. */
const rename = (prefix: string, steps: Steps): Steps =>
  Object.fromEntries(
    Object.entries(steps).map(([name, step]) => [
      `${prefix}_${name}`,
      Object.fromEntries(
        Object.entries(step).map(([key, value]) => [
          key,
          isName(value, steps)
            ? `${prefix}_${value}`
            : Array.isArray(value)
              ? value.map((item) => (isName(item, steps) ? `${prefix}_${item}` : item))
              : value,
        ]),
      ),
    ]),
  )

/**
 * Builds many merges of one network by one recipe, file in, file out, and reads what was written. The last step of each
 * is its result. `files` names more inputs than those of the folder.
 */
export const buildMerges = async (
  net: Net,
  merges: Readonly<Record<string, Steps>>,
  files: Readonly<Record<string, string>> = {},
): Promise<Readonly<Record<string, Weights>>> => {
  const folder = await mkdtemp(join(tmpdir(), 'smelt-realmodels-'))
  try {
    const named = Object.entries(merges).map(([id, steps], i) => [id, rename(`m${i}`, steps)] as const)
    const recipe = {
      smelt: 1,
      models: {
        ...Object.fromEntries(
          Object.entries(FILES).map(([name, file]) => [name, join(FOLDER, net, `${file}.safetensors`)]),
        ),
        ...files,
      },
      adapters: Object.fromEntries(Object.entries(ADAPTERS).map(([name, file]) => [name, join(FOLDER, net, file)])),
      steps: Object.assign({}, ...named.map(([, steps]) => steps)) as Steps,
      outputs: Object.fromEntries(
        named.map(([, steps], i) => [`m${i}`, { from: Object.keys(steps).at(-1), path: `${i}.safetensors` }]),
      ),
    }
    const path = join(folder, 'recipe.yaml')
    await writeFile(path, JSON.stringify(recipe))
    const built = await build(path, { workers: 1 })
    if (built.type === 'failed') throw new Error(built.diagnostics.map((d) => d.message).join('\n'))
    return Object.fromEntries(
      await Promise.all(
        named.map(async ([id], i) => [id, await readWeights(join(folder, `${i}.safetensors`))] as const),
      ),
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
