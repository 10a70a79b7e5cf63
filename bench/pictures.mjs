// Makes the pictures of the documentation from a real build: `node bench/pictures.mjs`. Needs tmux and 9 GB of
// memory-backed storage.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { bytesOf, readTable, writeCheckpoint } from './checkpoint.mjs'
import { memoryFolder, openPlace } from './place.mjs'
import { drawScreen } from './screen.mjs'
import { cleanEnvironment, PROGRAM } from './smelt.mjs'

const IMAGES = fileURLToPath(new URL('../docs/images/', import.meta.url))
const [COLUMNS, ROWS] = [118, 24]
/** The share of the work, in percent, at which the dashboard is drawn. */
const MOMENT = 40

const RECIPE = `smelt: 1
name: anime-detail
seed: 42
params: { keep: 0.6 }
models: { base: sd15.safetensors, anime: anime.safetensors, photo: photo.safetensors }
steps:
  strong: { op: mask.magnitude, model: anime, base: base, quantile: 0.8 }
  attention: { op: mask.edit, mask: strong, layers: "**.attn2", set: true }
  free: { op: mask.complement, mask: attention }
  merged: { op: merge.dare, a: anime, b: photo, drop: 0.5, rescale: true, keep: $keep, mask: free }
  coverage: { op: report.mask, mask: attention }
outputs:
  merged: { from: merged, path: build/anime-detail.safetensors }
  coverage: { from: coverage, path: build/coverage.svg }
`

/** A report's picture down to its first chart, with hundredths of a pixel: the tables below are long. */
const firstChart = (svg) => {
  const [, above, top] =
    /^(.*?)\n<g transform="translate\(0 (\d+)\)"><g transform="translate\(0 0\)"><text [^>]*>Blocks</s.exec(svg)
  const height = Number(top) + 28
  const short = above.replace(/\d+\.\d{3,}/g, (number) => String(Number(Number(number).toFixed(2))))
  return `${short
    .replace(/ height="\d+"/, ` height="${height}"`)
    .replace(/ viewBox="0 0 (\d+) \d+"/, ` viewBox="0 0 $1 ${height}"`)
    .replace(/(<rect [^>]*?) height="\d+"/, `$1 height="${height}"`)}</g></svg>\n`
}

const table = readTable('sd15')
const folder = openPlace(memoryFolder(), 4 * bytesOf(table))
writeFileSync(join(folder, 'recipe.yaml'), RECIPE)
for (const [name, model] of [
  ['sd15', 'base'],
  ['anime', 'a'],
  ['photo', 'b'],
])
  writeCheckpoint(join(folder, `${name}.safetensors`), table, model)

const { CI: _ci, NO_COLOR: _no, ...inherited } = process.env
const env = { ...inherited, ...cleanEnvironment(folder), LANG: 'C.UTF-8', PS1: '$ ', ENV: '' }
const smelt = (...args) => execFileSync(process.execPath, [PROGRAM, ...args], { cwd: folder, env })
smelt('build', 'recipe.yaml', '--quiet', '--set', 'keep=0.4')

const tmux = (...args) =>
  execFileSync('tmux', ['-u', '-S', join(folder, 'tmux'), '-f', '/dev/null', ...args], { encoding: 'utf8', env })
tmux('new-session', '-d', '-s', 's', '-c', folder, '-x', String(COLUMNS), '-y', String(ROWS), 'sh')
try {
  const program = `'${process.execPath}' '${PROGRAM}'`
  tmux('send-keys', '-t', 's', `clear; ${program} build recipe.yaml --json | ${program} watch -`, 'Enter')
  const begun = Date.now()
  for (let percent = 0; percent < MOMENT;) {
    if (Date.now() - begun > 120_000) throw new Error('the dashboard did not get so far')
    await sleep(100)
    percent = Number(/ (\d+)%/.exec(tmux('capture-pane', '-p', '-t', 's'))?.[1] ?? 0)
  }
  mkdirSync(IMAGES, { recursive: true })
  writeFileSync(join(IMAGES, 'dashboard.svg'), drawScreen(tmux('capture-pane', '-e', '-p', '-t', 's'), COLUMNS))
  for (let i = 0; i < 600 && !/done in/.test(tmux('capture-pane', '-p', '-t', 's')); i++) await sleep(100)
} finally {
  tmux('kill-server')
}
writeFileSync(join(IMAGES, 'report.svg'), firstChart(readFileSync(join(folder, 'build/coverage.svg'), 'utf8')))
