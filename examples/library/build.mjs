// @ts-check
// Builds a recipe from a program: says what it will cost, tells how far it is, and stops when asked to.
//   node examples/library/build.mjs RECIPE [FOLDER]
import process from 'node:process'
import { exitCode, prepare, renderDiagnostics, run } from 'smelt'

/** @typedef {import('smelt').Plan} Plan */
/** @typedef {import('smelt').RunEvent} RunEvent */

/** @type {(bytes: number) => string} */
const kilobytes = (bytes) => `${Math.ceil(bytes / 1000)} kB`

/**
 * What a plan costs, in one line. A plan is plain data, known before anything is computed or written.
 * @type {(plan: Plan) => string}
 */
const describe = ({ name, totals }) =>
  `${name}: ${totals.tensors} tensors, ${totals.computed} to compute and ${totals.copied} to copy; reads ${kilobytes(totals.readBytes)}, writes ${kilobytes(totals.writeBytes)}`

/**
 * Hears what happens, in order. A listener must be quick: the program waits for it, not the other way round.
 * @type {(event: RunEvent) => void}
 */
const tell = (event) => {
  if (event.type === 'units-finished') process.stderr.write(`\r${kilobytes(event.writtenBytes)} written`)
  if (event.type === 'output-written') console.log(`\n${event.path}: ${event.tensors} tensors, ${event.digest}`)
}

/** @type {(diagnostics: readonly import('smelt').Diagnostic[]) => void} */
const show = (diagnostics) => {
  if (diagnostics.length > 0) console.error(renderDiagnostics(diagnostics, { color: false }))
}

/** @type {(path: string, out: string | undefined, signal: AbortSignal) => Promise<number>} */
const buildRecipe = async (path, out, signal) => {
  // Problems are data: everything that is wrong with the recipe and its files, at once.
  const prepared = await prepare(path, out === undefined ? {} : { out })
  show(prepared.diagnostics)
  if (prepared.type === 'failed') return exitCode(prepared.diagnostics)

  console.log(describe(prepared.value.plan))
  const built = await run(prepared.value.plan, { workers: 2, device: 'cpu', listener: tell, signal })
  show(built.diagnostics)
  if (built.type === 'ok') console.log(`done in ${built.value.seconds.toFixed(1)} s`)
  return exitCode(built.diagnostics)
}

const [path, out] = process.argv.slice(2)
if (path === undefined) {
  console.error('usage: node build.mjs RECIPE [FOLDER]')
  process.exit(2)
}

// An aborted build ends at its next chunk and leaves every file as it was.
const controller = new AbortController()
process.once('SIGINT', () => controller.abort())
process.exitCode = await buildRecipe(path, out, controller.signal)
