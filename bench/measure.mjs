// Runs a command and takes its wall time, processor time and peak memory.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const GNU_TIME = '/usr/bin/time'

/** Longest time a command may take unless its caller says otherwise, in seconds. */
const LIMIT = 1800

/** The command that runs now, as the head of a process group, so that it ends when the benchmark does. */
let running
process.on('exit', () => {
  if (running?.exitCode === null && running.signalCode === null) end(running)
})

const end = (child) => {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

const start = ([program, ...args], { folder, env = {}, limit = LIMIT }) => {
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  })
  running = child
  const timer = setTimeout(() => end(child), limit * 1000)
  child.on('close', () => clearTimeout(timer))
  return child
}

/**
 * Whether peak memory and processor time can be had: both come from the kernel's account of the ended process, through
 * GNU time.
 */
export const canMeasureMemory = existsSync(GNU_TIME) && process.platform === 'linux'

/**
 * Runs `[program, ...arguments]` to its end: `{ seconds, processor, megabytes }`, the latter two undefined where GNU
 * time is missing.
 * Throws what the command said when it fails, or when it takes more than `limit` seconds of `where`.
 */
export const measure = async (command, where) => {
  const record = join(where.folder, 'time.txt')
  const began = performance.now()
  const { code, said } = await finish(
    start(canMeasureMemory ? [GNU_TIME, '-q', '-o', record, '-f', '%U %S %M', ...command] : command, where),
  )
  const seconds = (performance.now() - began) / 1000
  if (code === null) throw new Error(`error: it was ended by force after ${seconds.toFixed(0)} s`)
  if (code !== 0) throw new Error(said.trim().split('\n').slice(-12).join('\n') || `exit code ${code}`)
  if (!canMeasureMemory) return { seconds }
  const [user, system, kilobytes] = readFileSync(record, 'utf8').trim().split(' ').map(Number)
  rmSync(record)
  return { seconds, processor: user + system, megabytes: (kilobytes * 1024) / 1e6 }
}

const finish = (child) =>
  new Promise((resolve, reject) => {
    let said = ''
    child.stderr.on('data', (text) => {
      said = (said + text).slice(-8000)
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, said }))
  })

/** Processor seconds of a running process so far, to a hundredth; undefined where the kernel does not tell. */
const processorOf = (pid) => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return undefined
  }
}

/** Starts a command, waits until `seen()` is true, and ends it at once: `{ seconds, processor }` until then. */
export const measureUntil = async (command, seen, where) => {
  const began = performance.now()
  const child = start(command, where)
  const ended = finish(child)
  const open = () => child.exitCode === null && child.signalCode === null
  while (open() && !seen()) await new Promise((resolve) => setTimeout(resolve, 1))
  const seconds = (performance.now() - began) / 1000
  const processor = processorOf(child.pid)
  const early = !open()
  end(child)
  const { said } = await ended
  if (early) throw new Error(said.trim() || 'it ended before anything was seen')
  return { seconds, processor }
}

/** The median of at least one number. */
export const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
