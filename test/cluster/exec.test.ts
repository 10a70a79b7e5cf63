import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Diagnostic } from '#src/base/diagnostic.js'
import { append } from '#src/base/lists.js'
import { runCommand } from '#src/cli/program.js'
import { checkTemplate } from '#src/cluster/exec.js'
import { readSubmitted } from '#src/cluster/layout.js'
import { inFolder } from '../support/build-run.js'
import { smelt } from '../support/smelt.js'
import { contentsOf, writeProject } from './small-project.js'

const models = [
  { model: 'a', density: 0.3 },
  { model: 'b', density: 0.4 },
]
const RECIPE = {
  steps: { x: { op: 'merge.ties', base: 'base', models, scope: 'model' } },
  outputs: { x: { from: 'x', path: 'out.safetensors' } },
}
const WORK = '{smelt} work --run {run} --part {part} --workers 1'
/** `--parts` is few, since each part starts a process. */
const on = (...more: readonly string[]) =>
  ['build', 'recipe.yaml', '--on', 'exec', '--parts', '2', '--parallel', '4', ...more] as const

const runIn = (folder: string): string => {
  const runs = join(folder, '.smelt/runs')
  return join(
    runs,
    readdirSync(runs).find((name) => !name.startsWith('.'))!,
  )
}
const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await new Promise((done) => setTimeout(done, 20))
}
const handedOver = (folder: string): number => {
  try {
    return readSubmitted(runIn(folder))?.length ?? 0
  } catch {
    return 0
  }
}

test('processes write what one process writes, though every task is killed once', () =>
  inFolder(async (folder) => {
    const [one, many] = [join(folder, 'one'), join(folder, 'many')]
    writeProject(one, RECIPE)
    writeProject(many, RECIPE)
    expect(await smelt(one, ['build', 'recipe.yaml', '--quiet'])).toMatchObject({ code: 0, stderr: '' })
    const killed = `if mkdir {run}/logs/{part} 2> /dev/null; then kill -9 $$; fi; exec ${WORK}`
    const env = { SMELT_CACHE: join(folder, 'cache') }
    const report = ['--report', 'report.json']
    const built = await smelt(many, on('--exec', killed, ...report), { env: { ...env, CUDA_VISIBLE_DEVICES: '5' } })
    expect(built.stderr).toContain('part 0 is begun again')
    expect(built.code).toBe(0)
    const { sections } = JSON.parse(readFileSync(join(many, 'report.json'), 'utf8')) as {
      sections: readonly { readonly rows: readonly { readonly cells: readonly (string | number)[] }[] }[]
    }
    const host = hostname()
    expect(sections[1]?.rows.map(({ cells }) => cells.slice(0, 7))).toEqual([
      [0, 'measured', host, 'cpu', '5', null, 1],
      [1, 'wrote tensors', host, 'cpu', '5', null, 1],
      [2, 'wrote tensors', host, 'cpu', '5', null, 1],
    ])
    rmSync(join(many, 'report.json'))
    expect(contentsOf(many)).toEqual(contentsOf(one))
    const followed = await smelt(many, ['follow', runIn(many)])
    expect(followed).toMatchObject({ code: 0, stderr: '' })
    expect(followed.stdout).toMatch(
      /^3 of 3 parts · .* · written\n {2}.* \(cpu\) {2}3 parts in .*, read .*, wrote .*\n$/,
    )
    const again = await smelt(many, on('--exec', 'exit 1; : {run} {part}'), { env })
    expect(again).toMatchObject({ code: 0, stderr: expect.stringContaining('unchanged') as string })
    expect(contentsOf(many)).toEqual(contentsOf(one))
  }))

test('a driver that was killed is replaced by the same command, and a second one at a time is refused', () =>
  inFolder(async (folder) => {
    const [one, many] = [join(folder, 'one'), join(folder, 'many')]
    writeProject(one, RECIPE)
    writeProject(many, RECIPE)
    await smelt(one, ['build', 'recipe.yaml', '--quiet'])
    const waiting = `while [ ! -e {run}/logs/go ]; do sleep 0.05; done; exec ${WORK}`
    let kill = (): boolean => false
    const first = smelt(many, on('--exec', waiting), {
      began: (child) => (kill = () => child.kill('SIGKILL')),
    })
    await until(() => handedOver(many) > 0)
    const second = await smelt(many, on('--exec', waiting))
    expect(second).toMatchObject({ code: 75 })
    expect(second.stderr).toContain('error[run-driven]')
    kill()
    expect((await first).signal).toBe('SIGKILL')
    writeFileSync(join(runIn(many), 'logs/go'), '')
    const third = await smelt(many, on('--exec', waiting))
    expect(third.stderr).toContain('goes on')
    expect(third.code).toBe(0)
    expect(contentsOf(many)).toEqual(contentsOf(one))
  }))

test('a task that fails for good ends the build with what it said, and the repaired command goes on', () =>
  inFolder(async (folder) => {
    writeProject(folder, RECIPE)
    const failing = `if [ {part} = 1 ]; then echo no such luck >&2; exit 3; fi; exec ${WORK}`
    const failed = await smelt(folder, on('--exec', failing))
    expect(failed.code).toBe(3)
    expect(failed.stderr).toContain('part 1 failed (exit 3): no such luck')
    expect(existsSync(join(folder, 'out.safetensors'))).toBe(false)
    const repaired = await smelt(folder, on('--exec', WORK, '--quiet'))
    expect(repaired).toMatchObject({ code: 0, stderr: '' })
  }))

test('Ctrl-C leaves the run, and `smelt cancel` gives it up', () =>
  inFolder(async (folder) => {
    writeProject(folder, RECIPE)
    let interrupt = (): boolean => false
    const left = smelt(folder, on('--exec', 'sleep 30; : {run} {part}'), {
      began: (child) => (interrupt = () => child.kill('SIGINT')),
    })
    await until(() => handedOver(folder) > 0)
    interrupt()
    const { code, stderr } = await left
    expect(code).toBe(130)
    expect(stderr).toContain('smelt cancel')
    expect(await smelt(folder, ['cancel', runIn(folder)])).toMatchObject({ code: 0 })
    const followed = await smelt(folder, ['follow', '--once', runIn(folder)])
    expect(followed).toMatchObject({ code: 3 })
    expect(followed.stdout).toContain('cancelled')
  }))

test('options that do not go together with `--on`, and those that need it, are told', () =>
  inFolder(async (folder) => {
    writeProject(folder, RECIPE)
    for (const [args, code] of [
      [['--on', 'exec', '--frozen'], 'run-option'],
      [['--on', 'exec', '--device', 'webgpu'], 'run-inexact'],
      [['--on', 'exec', '--exec', 'ssh {node} {run} {part}'], 'exec-template'],
      [['--on', 'exec', '--parallel', '0'], 'run-count'],
      [['--parallel', '4'], 'run-needs-on'],
    ] as const) {
      const told: string[] = []
      const console = {
        cwd: folder,
        out: () => undefined,
        err: () => undefined,
        look: () => ({ color: false, width: 80 }),
        errRedraws: false,
        tell: (diagnostics: readonly Diagnostic[]) =>
          void append(
            told,
            diagnostics.map((d) => d.code),
          ),
      }
      expect(await runCommand(['build', join(folder, 'recipe.yaml'), ...args], console)).toBe(2)
      expect(told).toEqual([code])
    }
  }))

test('a command has to name the run and the part', () => {
  expect(checkTemplate(WORK)).toBeUndefined()
  expect(checkTemplate('ssh {host} -- {smelt} work --run {run} --part {part}')).toBeUndefined()
  expect(checkTemplate('{smelt} work --run {run}')?.message).toContain('{part}')
  expect(checkTemplate('{smelt} {run} {part} {gpu}')?.message).toContain('{gpu}')
})
