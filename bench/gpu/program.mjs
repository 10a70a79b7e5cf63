// Runs smelt the way a person does, and hears what it tells.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The folder that holds the program and the checks. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** The compiled program of this folder. */
export const PROGRAM = fileURLToPath(new URL('../../dist/bin/smelt.js', import.meta.url))

const children = new Set()
const kill = (child) => {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
process.on('exit', () => children.forEach(kill))

/** Most of what a program says that is kept, in characters. */
const KEPT = 4_000

/**
 * Runs a command to its end, or for `limit` seconds: `{ code, seconds, stdout, said }`; `code` is undefined when it was
 * ended by force, and a
 * signal's name when one ended it. `line` hears each line of its output, and `started` is given the process.
 */
export const runCommand = ([program, ...args], { folder, env = {}, limit = 120, line, started }) =>
  new Promise((resolve) => {
    const began = performance.now()
    const child = spawn(program, args, {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    children.add(child)
    let [stdout, said, rest, forced] = ['', '', '', false]
    const timer = setTimeout(() => {
      forced = true
      kill(child)
    }, limit * 1000)
    const done = (code) => {
      clearTimeout(timer)
      children.delete(child)
      resolve({
        code: forced ? undefined : code,
        seconds: (performance.now() - began) / 1000,
        stdout,
        said: forced ? `${said}\nended by force after ${limit.toFixed(0)} s` : said,
      })
    }
    child.stdout.setEncoding('utf8').on('data', (text) => {
      if (line === undefined) stdout += text
      else {
        const lines = (rest + text).split('\n')
        rest = lines.pop()
        lines.forEach(line)
      }
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-KEPT)
    })
    child.on('error', (error) => {
      said = error.message
      done(127)
    })
    child.on('close', (code, signal) => done(code ?? signal))
    started?.(child)
  })

const parse = (text) => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Events of a build that are of use here; the others are many. */
const KEPT_EVENTS = new Set(['run-started', 'run-finished', 'run-failed', 'problem-found'])

/** The environment of a build: a store of its own, nothing looked up on a network. */
const environmentOf = (cache) => ({ SMELT_CACHE: cache, HF_HUB_OFFLINE: '1', NO_COLOR: '1' })

/**
 * `smelt build RECIPE --json`: `{ ok, code, seconds, run, device, problems, said }`. `run` is the event of its end,
 * which holds the seconds of the work
 * alone; `problems` are errors as `{ code, message, help }`. `begun` is called when the work begins.
 */
export const build = async (recipe, { folder, device, cache, workers, limit, begun }) => {
  const events = []
  const command = [
    process.execPath,
    PROGRAM,
    'build',
    recipe,
    '--json',
    '--device',
    device,
    ...(workers === undefined ? [] : ['--workers', String(workers)]),
  ]
  const { code, seconds, said } = await runCommand(command, {
    folder,
    limit,
    env: environmentOf(cache),
    line: (text) => {
      const event = parse(text)
      if (KEPT_EVENTS.has(event?.type)) events.push(event)
      if (event?.type === 'run-started') begun?.()
    },
  })
  const problems = events
    .filter(({ type }) => type === 'problem-found')
    .map(({ diagnostic }) => diagnostic)
    .filter(({ severity }) => severity === 'error')
  return {
    ok: code === 0,
    code,
    seconds,
    said: said.trim(),
    run: events.find(({ type }) => type === 'run-finished'),
    device: events.find(({ type }) => type === 'run-started')?.device,
    problems: problems.map(({ code: name, message, help }) => ({ code: name, message, help })),
  }
}

/** Why a build ended as it did, in one sentence. */
export const reasonOf = ({ code, problems, said }) => {
  const [problem] = problems
  if (problem !== undefined) return `${problem.code}: ${problem.message}`
  return `exit ${code ?? 'by force'}${said === '' ? '' : `: ${said.split('\n').slice(-3).join(' ').slice(-300)}`}`
}

/** `smelt doctor --json`, or why it could not be had. */
export const askDoctor = async () => {
  const { code, stdout, said } = await runCommand([process.execPath, PROGRAM, 'doctor', '--json'], {
    folder: ROOT,
    env: { NO_COLOR: '1' },
  })
  return parse(stdout) ?? { problem: `smelt doctor ended with ${code}: ${said.trim()}` }
}
