import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildProcess } from 'node:child_process'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { writeProject } from './project.js'
import { makeFolder, smelt, type Finished } from '../support/smelt.js'
import { startSlurm, whyNoSlurm, type RealSlurm } from './real-slurm.js'

const MAIN = fileURLToPath(new URL('../../dist/bin/smelt.js', import.meta.url))

const LIST = [
  { model: 'a', density: 0.3 },
  { model: 'b', density: 0.4 },
]
const BASED = { base: 'base', models: LIST }

/** A step of each family of operators, and of each way in which tensors depend on others. */
const STEPS: Readonly<Record<string, object>> = {
  blend: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.3 },
  linear: { op: 'merge.linear', models: ['a', 'b', 'c'] },
  passthrough: { op: 'merge.passthrough', model: 'a' },
  difference: { op: 'merge.add_difference', a: 'a', b: 'b', c: 'base' },
  arithmetic: { op: 'merge.task_arithmetic', base: 'base', models: ['a', 'b'] },
  ties: { op: 'merge.ties', ...BASED },
  ties_whole: { op: 'merge.ties', ...BASED, scope: 'model' },
  dare: { op: 'merge.dare_linear', ...BASED },
  dare_ties: { op: 'merge.dare_ties', ...BASED },
  della: { op: 'merge.della', ...BASED },
  breadcrumbs: { op: 'merge.breadcrumbs', base: 'base', models: ['a', 'b'] },
  stock: { op: 'merge.model_stock', base: 'base', models: ['a', 'b'] },
  karcher: { op: 'merge.karcher', models: ['a', 'b', 'c'] },
  slerp_many: { op: 'merge.slerp_many', models: ['a', 'b', 'c'] },
  isotropic: { op: 'merge.isotropic', base: 'base', models: ['a', 'b'], layers: '**.weight' },
  rotate: { op: 'merge.rotate', a: 'a', b: 'b', layers: '**.weight' },
  masked: { op: 'merge.linear', models: ['a', 'b'], mask: 'strong' },
  adapted: { op: 'adapter.apply', model: 'base', adapter: 'lora' },
  scaled: { op: 'model.scale', model: 'a', factor: 0.5 },
  noisy: { op: 'model.noise', model: 'a', strength: 0.1, layers: '**.weight' },
}
const HELPERS = {
  strong: { op: 'mask.magnitude', model: 'a', base: 'base', quantile: 0.7, scope: 'model' },
  lora: { op: 'adapter.extract', model: 'a', base: 'base', rank: 2 },
}
const recipeOf = (names: readonly string[]): object => ({
  steps: { ...HELPERS, ...Object.fromEntries(names.map((name) => [name, STEPS[name]])) },
  outputs: Object.fromEntries(names.map((name) => [name, { from: name, path: `out/${name}.safetensors` }])),
})

/** The files below a folder and what is in them, without the run’s own. */
const filesIn = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    (readdirSync(folder, { recursive: true }) as string[])
      .filter((path) => /^(out\/|recipe\.lock)/.test(path))
      .map((path) => [path, readFileSync(join(folder, path)).toString('base64')]),
  )

const why = whyNoSlurm()
const title = why === undefined ? 'with a real Slurm' : `skipped: ${why}`

describe.skipIf(why !== undefined)(title, () => {
  let slurm: RealSlurm
  const folder = makeFolder()
  const cluster = 'slurm: { cpus: 1, memory: 400M, time: 10 }'
  beforeAll(async () => {
    slurm = await startSlurm()
  })
  afterAll(async () => {
    await slurm.stop()
    folder.remove()
  })
  beforeEach(() => rmSync(join(folder.path, 'p'), { recursive: true, force: true }))

  const project = (names: readonly string[], layers = 8): string => {
    const at = join(folder.path, 'p')
    writeProject(at, recipeOf(names), layers)
    folder.write('smelt.cluster.yaml', cluster)
    return at
  }
  const local = async (at: string): Promise<Readonly<Record<string, string>>> => {
    const { code, stderr } = await smelt(at, ['build', 'recipe.yaml', '--quiet'])
    if (code !== 0) throw new Error(stderr)
    const files = filesIn(at)
    rmSync(join(at, 'out'), { recursive: true })
    rmSync(join(at, 'recipe.lock.json'))
    return files
  }
  const onSlurm = (at: string, parts: number, watch?: (child: ChildProcess) => void): Promise<Finished> => {
    let isSeen = false
    return smelt(at, ['build', 'recipe.yaml', '--on', 'slurm', '--parts', String(parts)], {
      env: { ...slurm.env, SMELT_CACHE: join(folder.path, 'cache') },
      watchErrors: (child) => {
        if (!isSeen) watch?.(child)
        isSeen = true
      },
    })
  }
  const runOf = (at: string): string => join(at, '.smelt/runs', readdirSync(join(at, '.smelt/runs'))[0]!)
  const results = (at: string): number =>
    existsSync(join(at, '.smelt/runs')) ? readdirSync(join(runOf(at), 'results')).length : 0
  const until = async (isTrue: () => boolean): Promise<void> => {
    for (let i = 0; i < 1200 && !isTrue(); i++) await sleep(100)
    expect(isTrue()).toBe(true)
  }
  const states = (format: string): readonly string[] =>
    slurm.ask('squeue', '-h', '-r', '--states=all', '-o', format).trim().split('\n')
  const runningTasks = (): readonly string[] =>
    states('%T %F_%K %j').flatMap((line) => /^RUNNING (\d+_\d+) smelt-[^ ]*\.\d+$/.exec(line)?.[1] ?? [])
  const leftovers = (at: string): readonly string[] =>
    (readdirSync(at, { recursive: true }) as string[]).filter((path) => /partial|\.part$|\.tmp$|\.claim$/.test(path))
  /** Lets the node work again: a controller that lost what it had not saved gives numbers of jobs again, and drains the node that knows them. */
  const undrain = (): void => {
    if (/drain/.test(slurm.ask('sinfo', '-h', '-o', '%T'))) slurm.node('state=resume')
  }
  const allEnded = async (): Promise<void> => {
    let open: readonly string[] = []
    for (let i = 0; i < 1200; i++) {
      undrain()
      open = states('%T %F_%K %j %r').filter((line) => /^(PENDING|RUNNING) \S+ smelt-/.test(line))
      if (open.length === 0) break
      await sleep(100)
    }
    expect(open).toEqual([])
  }
  const isDone = async (at: string, finished: Finished, expected: Readonly<Record<string, string>>): Promise<void> => {
    expect([finished.code, finished.stderr]).toEqual([0, expect.stringContaining('wrote')])
    expect(filesIn(at)).toEqual(expected)
    expect(leftovers(at)).toEqual([])
    await allEnded()
  }

  test('every family of operators gives the files and the lock of one machine, in more tasks than an array can have', async () => {
    const at = project(Object.keys(STEPS))
    const expected = await local(at)
    const exec = await smelt(at, ['build', 'recipe.yaml', '--on', 'exec', '--parallel', '2', '--parts', '4', '--quiet'])
    expect(exec.code).toBe(0)
    expect(filesIn(at)).toEqual(expected)
    for (const path of ['out', 'recipe.lock.json', '.smelt']) rmSync(join(at, path), { recursive: true })
    await isDone(at, await onSlurm(at, 10), expected)
    expect(readdirSync(join(runOf(at), 'results')).length).toBeGreaterThan(8)
  })

  test('killed tasks, and one that is requeued by Slurm, are done again', async () => {
    const at = project(['ties', 'dare', 'karcher'])
    const expected = await local(at)
    const building = onSlurm(at, 5)
    for (let i = 0; i < 3; i++) {
      await until(() => runningTasks().length > 0)
      const [task] = runningTasks()
      slurm.ask('scancel', ...(i === 2 ? [] : ['--signal=KILL', '--full']), task!)
      await sleep(500)
    }
    await until(() => runningTasks().length > 0)
    slurm.ask('scontrol', 'requeue', runningTasks()[0]!)
    await isDone(at, await building, expected)
  })

  test('a killed driver is replaced by another, which goes on; a second one is refused', async () => {
    const at = project(['ties', 'blend'])
    const expected = await local(at)
    let second: Finished | undefined
    const first = onSlurm(at, 4, (child) => {
      void (async () => {
        await until(() => results(at) > 0)
        second = await onSlurm(at, 4)
        child.kill('SIGKILL')
      })()
    })
    expect((await first).signal).toBe('SIGKILL')
    expect([second?.code, second?.stderr]).toEqual([75, expect.stringContaining('run-driven')])
    await isDone(at, await onSlurm(at, 4), expected)
  })

  test.each([
    ['one stage', ['blend'], 3],
    ['two stages', ['blend', 'ties_whole'], 4],
  ] as const)('a build of %s without a driver is done, and committed by its last job', async (_, names, parts) => {
    const at = project(names)
    const expected = await local(at)
    const first = await smelt(at, ['build', 'recipe.yaml', '--on', 'slurm', '--parts', String(parts)], {
      env: slurm.env,
      watchErrors: (child, stderr) => {
        if (stderr.includes('Slurm has all of it')) child.kill('SIGKILL')
      },
    })
    expect(first.signal).toBe('SIGKILL')
    const { stages } = JSON.parse(readFileSync(join(runOf(at), 'plan.json'), 'utf8')) as { stages: readonly object[] }
    expect(stages).toHaveLength(names.length)
    await until(() => existsSync(join(at, 'recipe.lock.json')))
    await allEnded()
    expect(filesIn(at)).toEqual(expected)
  })

  test('a part that cannot be done ends the run, with what its task said', async () => {
    const at = project(['blend'])
    let isTouched = false
    const finished = await onSlurm(at, 3, () => {
      if (!isTouched) rmSync(join(at, 'a.safetensors'))
      isTouched = true
    })
    expect([finished.code, finished.stderr]).toEqual([3, expect.stringContaining('a.safetensors')])
    expect(leftovers(at)).toEqual([])
    expect(runningTasks()).toEqual([])
  })

  test('a task that Slurm holds is released after a minute, and a controller that is away is waited for', async () => {
    const at = project(['blend'])
    const expected = await local(at)
    slurm.node('state=drain', 'reason=test')
    const building = onSlurm(at, 3)
    await until(() => states('%T %j').some((line) => /^PENDING smelt-[^ ]*[.]\d+$/.test(line)))
    const waiting = states('%T %F %j').flatMap((line) => /^PENDING (\d+) .*[.]\d+$/.exec(line)?.[1] ?? [])
    for (const job of new Set(waiting)) slurm.ask('scontrol', 'hold', job)
    slurm.node('state=resume')
    // The controller saves what it knows every few seconds.
    await sleep(10_000)
    slurm.kill('slurmctld')
    await sleep(70_000)
    await slurm.start('slurmctld')
    const finished = await building
    expect(finished.stderr).toMatch(/Slurm has not answered for \d+ seconds[^]*Slurm answers again/)
    expect(finished.stderr).toContain('Slurm holds part 0: releasing it')
    await isDone(at, finished, expected)
  })

  test('a measure that was done by a task of its own second try lets the next stage begin', async () => {
    const at = project(['ties_whole'])
    const expected = await local(at)
    folder.write(
      'once',
      `#!/bin/sh\ncase "$*" in *"--part 0"*) mkdir ${join(folder.path, 'p/tried')} 2> /dev/null && exit 75;; esac\nexec ${process.execPath} ${MAIN} "$@"\n`,
    )
    chmodSync(join(folder.path, 'once'), 0o755)
    folder.write('smelt.cluster.yaml', `slurm: { cpus: 1, time: 10, smelt: ${join(folder.path, 'once')} }`)
    const finished = await onSlurm(at, 3)
    expect(finished.stderr).toContain('part 0 is begun again')
    expect(finished.stderr).not.toContain('Slurm holds')
    await isDone(at, finished, expected)
  })

  test('a controller that is away when a build begins is waited for', async () => {
    const at = project(['blend'])
    const expected = await local(at)
    // The controller saves what it knows every few seconds.
    await sleep(10_000)
    slurm.kill('slurmctld')
    let isStarted = false
    const finished = await smelt(at, ['build', 'recipe.yaml', '--on', 'slurm', '--parts', '2'], {
      env: slurm.env,
      watchErrors: (_, stderr) => {
        if (isStarted || !stderr.includes('retrying')) return
        isStarted = true
        void slurm.start('slurmctld')
      },
    })
    expect(finished.stderr).toContain('Slurm does not answer: retrying')
    await isDone(at, finished, expected)
  })

  test('30 kills of tasks, 5 of the driver, 3 of slurmctld, a node lost and found, and a requeue leave one commit', async () => {
    // Of one stage: a first one has few parts, which would be hit each time.
    const at = project(
      Object.keys(STEPS).filter((name) => name !== 'ties_whole' && name !== 'masked'),
      60,
    )
    const expected = await local(at)
    folder.write('slowly', `#!/bin/sh\nsleep 3\nexec ${process.execPath} ${MAIN} "$@"\n`)
    chmodSync(join(folder.path, 'slowly'), 0o755)
    folder.write(
      'smelt.cluster.yaml',
      `slurm: { cpus: 1, memory: 400M, time: 10, smelt: ${join(folder.path, 'slowly')} }`,
    )
    let driver: ChildProcess | undefined
    let last: Finished | undefined
    const driving = (async () => {
      while (last?.code !== 0) {
        last = await onSlurm(at, 60, (child) => (driver = child))
        driver = undefined
        await sleep(500)
      }
    })()
    const isOver = (): boolean => last?.code === 0
    const running = (): readonly string[] => {
      try {
        undrain()
        return runningTasks()
      } catch {
        return []
      }
    }
    const some = async (): Promise<string> => {
      await until(() => running().length > 0 || isOver())
      const tasks = running()
      return tasks[Math.floor(Math.random() * tasks.length)]!
    }
    const deeds = {
      task: async () => void slurm.ask('scancel', '--signal=KILL', '--full', await some()),
      requeue: async () => void slurm.ask('scontrol', 'requeue', await some()),
      driver: async () => {
        await until(() => driver !== undefined || isOver())
        driver!.kill('SIGKILL')
      },
      slurmctld: async () => {
        slurm.kill('slurmctld')
        await sleep(2000)
        await slurm.start('slurmctld')
      },
      node: async () => {
        slurm.node('state=down', 'reason=test')
        await sleep(3000)
        slurm.node('state=resume')
      },
    } as const
    const counts = { task: 30, driver: 5, slurmctld: 3, node: 1, requeue: 1 } as const
    const names = Object.keys(counts) as (keyof typeof counts)[]
    const plan = names.flatMap((name) => Array<keyof typeof counts>(counts[name]).fill(name))
    const order = plan.map((name) => [Math.random(), name] as const).sort(([x], [y]) => x - y)
    for (const [, name] of order) {
      // A task may end between the question and the blow.
      for (let isHit = false; !isHit && !isOver();)
        isHit = await deeds[name]().then(
          () => true,
          () => false,
        )
      expect([name, isOver()]).toEqual([name, false])
      await sleep(500 * Math.random())
    }
    // A node that the last blow drained stays so until somebody looks.
    for (; !isOver(); await sleep(1000)) running()
    await driving
    await isDone(at, last!, expected)
    expect(readdirSync(join(at, '.smelt/runs'))).toHaveLength(1)
  })

  test('a cancelled run leaves no task and no file', async () => {
    const at = project(['ties'])
    const building = onSlurm(at, 6)
    await until(() => runningTasks().length > 0)
    const cancelled = await smelt(at, ['cancel', runOf(at)], { env: slurm.env })
    expect(cancelled.code).toBe(0)
    expect((await building).code).toBe(3)
    expect(leftovers(at)).toEqual([])
    expect(filesIn(at)).toEqual({})
    expect(states('%T %j').some((line) => /^(PENDING|RUNNING) smelt-/.test(line))).toBe(false)
  })

  test('what Slurm refuses is told', async () => {
    const at = project(['blend'])
    folder.write('smelt.cluster.yaml', 'slurm: { partition: nowhere }')
    const finished = await onSlurm(at, 2)
    expect([finished.code, finished.stderr]).toEqual([3, expect.stringContaining('slurm-refused')])
  })
})
