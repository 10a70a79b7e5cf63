import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { makeEnvironment, makeFolder, type Finished } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { devices } from './real-provider.js'

const RECIPE = `smelt: 1
name: small
models: { a: a.safetensors, b: b.safetensors }
steps:
  mask: { op: mask.magnitude, model: b, base: a, quantile: 0.5 }
  half: { op: merge.blend, a: a, b: b, keep: 0.25, mask: mask }
outputs:
  merged: { from: half, path: out/merged.safetensors }
`

/** A folder with a recipe of two steps and its two models of three dtypes. */
export const makeWorkshop = (): ReturnType<typeof makeFolder> & { names(): readonly string[] } => {
  const folder = makeFolder({ 'recipe.yaml': RECIPE })
  const numbers = (seed: number): number[] => Array.from({ length: 3000 }, (_, i) => Math.sin(i * seed) * (i % 7))
  for (const [name, seed] of [
    ['a', 1],
    ['b', 2],
  ] as const) {
    writeSafetensors(
      join(folder.path, `${name}.safetensors`),
      Object.fromEntries(
        (['F32', 'F16', 'BF16'] as const).map((dtype) => [
          `x.${dtype}`,
          { dtype, shape: [30, 100], values: numbers(seed) },
        ]),
      ),
    )
  }
  return { ...folder, names: () => readdirSync(folder.path, { recursive: true }).map(String).toSorted() }
}

/** Starts the program's copy in a folder, with an empty store, and with no CUDA installed but what `env` names. */
export const runSmelt = (
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> =>
  new Promise((resolve, reject) => {
    const environment = makeEnvironment(env)
    const child = spawn(process.execPath, [join(devices.tree, 'dist', 'cli', 'main.js'), ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { XDG_DATA_HOME: environment.env['SMELT_CACHE'], ...environment.env },
    })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      environment.remove()
      resolve({ code, signal, stdout, stderr })
    })
  })
