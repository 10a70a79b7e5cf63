// Merges two small trained networks by recipe.yaml, then asks each file how well it reads handwritten digits.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { accuracy, loadNetwork, readTask, readTensors } from './evaluate.mjs'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))

const built = spawnSync(process.execPath, [path('../../dist/bin/smelt.js'), 'build', path('recipe.yaml')], {
  stdio: 'inherit',
})
if (built.status !== 0) process.exit(built.status ?? 1)

const FILES = {
  base: 'data/base.safetensors',
  rotated: 'data/A.safetensors',
  mirrored: 'data/B.safetensors',
  merged: 'build/merged.safetensors',
}
const TASKS = { upright: 'upright', rotated: 'A', mirrored: 'B' }

const network = await loadNetwork(path('data/forward.onnx'))
const testsets = await readTensors(path('data/testsets.safetensors'))

const rows = []
for (const [file, at] of Object.entries(FILES)) {
  const weights = await readTensors(path(at))
  const shares = []
  for (const task of Object.values(TASKS))
    shares.push(100 * (await accuracy(network, weights, readTask(testsets, task))))
  const [, rotated, mirrored] = shares
  rows.push({ file, numbers: [...shares, Math.min(rotated, mirrored)] })
}

const line = (first, cells) => first.padEnd(12) + cells.map((cell) => cell.padStart(10)).join('')
console.log(
  '\nDigits recognised correctly (%), of 600 test images each; `both` is the lower of rotated and mirrored:\n',
)
console.log(line('', [...Object.keys(TASKS), 'both']))
for (const { file, numbers } of rows)
  console.log(
    line(
      file,
      numbers.map((x) => x.toFixed(1)),
    ),
  )

const merged = rows.find(({ file }) => file === 'merged').numbers.at(-1)
const best = Math.max(...rows.filter(({ file }) => file !== 'merged').map(({ numbers }) => numbers.at(-1)))
console.log(
  merged > best
    ? `\nNo file alone reads both rotated and mirrored digits better than ${best.toFixed(1)} %; the merge reaches ${merged.toFixed(1)} %.`
    : `\nThis merge reaches ${merged.toFixed(1)} % on both, and a single file ${best.toFixed(1)} %: try other numbers in recipe.yaml.`,
)
