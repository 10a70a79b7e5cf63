// Builds while another process holds most of the device's memory: the file must be the right one, or there must be none
// and a problem that says why.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findMerge, mergeRecipe } from './merges.mjs'
import { build, reasonOf, ROOT, runCommand } from './program.mjs'

const HOLDER = fileURLToPath(new URL('hold-memory.mjs', import.meta.url))
const OUT = 'OUT.safetensors'
const MIB = 2 ** 20

/**
 * MiB of the device that are free when a build begins, and that another process leaves of them as soon as it has:
 * enough at first and then not, little, hardly a context, less.
 */
const SCENES = [
  { before: 2500, during: 60 },
  { before: 2500 },
  { before: 1100 },
  { before: 700 },
  { before: 300 },
  { before: 60 },
]

/** Codes of problems that may stand at the end: those of the device, save that it computes wrong. */
const isOfTheDevice = (code) => /^(device|cuda)-/.test(code) && code !== 'cuda-wrong-numbers'

/**
 * Starts the process that takes the memory: a way to have it take more, and one to end it. Both throw what it says when
 * it cannot.
 */
const startHolder = (libcudart, device) => {
  const [answers, waiting] = [[], []]
  let holder
  const ended = runCommand([process.execPath, HOLDER, libcudart, String(device)], {
    folder: ROOT,
    limit: 240,
    started: (child) => {
      holder = child
    },
    line: (text) => (waiting.length > 0 ? waiting.shift() : (answer) => answers.push(answer))(JSON.parse(text)),
  }).then(({ said }) =>
    waiting.splice(0).forEach((hear) => hear({ problem: `the process that takes the memory ended: ${said.trim()}` })),
  )
  holder.stdin.on('error', () => undefined)
  return {
    take: async (left) => {
      holder.stdin.write(`${left}\n`)
      const answer = answers.shift() ?? (await new Promise((resolve) => waiting.push(resolve)))
      if (answer.problem !== undefined) throw new Error(answer.problem)
      return answer
    },
    end: async () => {
      holder.stdin.end()
      await ended
    },
  }
}

const buildIn = async (folder, text, device, settings, begun) => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'recipe.yaml'), text)
  const built = await build('recipe.yaml', {
    folder,
    device,
    limit: settings.limit,
    cache: join(folder, 'cache'),
    begun,
  })
  return { built, leftBehind: readdirSync(folder).filter((name) => name !== 'recipe.yaml' && name !== 'cache') }
}

/** What a build under want of memory came to; `good` where it kept the promise. */
const judge = ({ built, leftBehind }, folder, right) => {
  const there = existsSync(join(folder, OUT))
  if (built.ok) {
    const same = there && readFileSync(join(folder, OUT)).equals(right)
    return { good: same, outcome: same ? 'the same file' : 'ANOTHER FILE', seconds: built.seconds }
  }
  const told =
    built.problems.length > 0 &&
    built.problems.every(({ code, help }) => isOfTheDevice(code) && typeof help === 'string')
  const clean = !there && !leftBehind.some((name) => name.endsWith('.safetensors') || name.endsWith('.lock.json'))
  return {
    good: told && clean,
    outcome: `${clean ? '' : 'files were left behind; '}${reasonOf(built)}`,
    problems: built.problems,
    leftBehind,
    seconds: built.seconds,
  }
}

/** One build on a device of which another process leaves little. */
const runScene = async ({ before, during }, text, folder, right, settings) => {
  const holder = startHolder(settings.libcudart, settings.index)
  try {
    const held = await holder.take(before * MIB)
    let later
    const begun =
      during === undefined
        ? undefined
        : () => {
            later = holder.take(during * MIB).catch((error) => ({ problem: error.message }))
          }
    const done = await buildIn(folder, text, settings.device, settings, begun)
    return { held, ...(later === undefined ? {} : { heldLater: await later }), ...judge(done, folder, right) }
  } finally {
    await holder.end()
  }
}

const titleOf = ({ before, during }) =>
  `${before} MiB free${during === undefined ? '' : `, ${during} as soon as it had begun`}`

/**
 * Runs the builds over models of a folder; the record is told after each. `settings`: `{ device, libcudart, index,
 * limit, late, say }`.
 */
export const checkFullDevice = async (folder, settings, tell) => {
  const rows = []
  for (const name of ['linear', 'ties']) {
    const text = mergeRecipe(findMerge(name), folder)
    const reference = await buildIn(join(folder, 'plain'), text, 'cpu', settings)
    if (!reference.built.ok) {
      rows.push({ name, scene: 'on the processor', good: false, outcome: reasonOf(reference.built) })
      continue
    }
    const right = readFileSync(join(folder, 'plain', OUT))
    for (const scene of SCENES) {
      const row = { name, scene: titleOf(scene) }
      if (settings.late()) rows.push({ ...row, good: false, outcome: 'not built: out of time' })
      else {
        try {
          rows.push({ ...row, ...(await runScene(scene, text, join(folder, 'full'), right, settings)) })
        } catch (error) {
          rows.push({ ...row, good: false, outcome: error.message })
        }
      }
      settings.say(`${name}, ${row.scene}: ${rows.at(-1).outcome}`)
      tell(rows)
    }
  }
  return rows
}
