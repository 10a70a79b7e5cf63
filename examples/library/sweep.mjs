// @ts-check
// Writes recipes by program: the same blend at several numbers, planned once each, built one after the other.
//   node examples/library/sweep.mjs FIRST SECOND FOLDER
import { resolve } from 'node:path'
import process from 'node:process'
import { makePlan, openModels, parse, renderDiagnostics, run } from 'smelt'

/**
 * The value of a step that must not fail, or an error that says what was wrong.
 * @template T
 * @param {import('smelt').Result<T>} result
 * @returns {T}
 */
const valueOf = (result) => {
  if (result.type === 'ok') return result.value
  throw new Error(renderDiagnostics(result.diagnostics, { color: false }))
}

const [first, second, folder] = process.argv.slice(2)
if (first === undefined || second === undefined || folder === undefined) {
  console.error('usage: node sweep.mjs FIRST SECOND FOLDER')
  process.exit(2)
}

const recipe = {
  smelt: 1,
  name: 'sweep',
  params: { keep: 0.5 },
  models: { first: resolve(first), second: resolve(second) },
  steps: { blended: { op: 'merge.blend', a: 'first', b: 'second', keep: '$keep' } },
  outputs: { merged: { from: 'blended', path: 'keep-${keep}.safetensors' } },
}

for (const keep of ['0.25', '0.5', '0.75']) {
  // JSON is YAML; `set` overrides params as `--set` does.
  const parsed = valueOf(parse({ path: 'sweep', text: JSON.stringify(recipe) }, { set: { keep } }))
  const models = valueOf(await openModels(parsed, folder))
  const plan = valueOf(makePlan(parsed, models, { recipe: resolve(folder), out: undefined }))
  const built = valueOf(await run(plan, { workers: 2, device: 'cpu' }))
  console.log(`keep ${keep}: ${built.outputs.map((output) => output.digest).join()}`)
}
