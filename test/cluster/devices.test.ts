import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { accountOf } from '#src/cluster/account.js'
import { commitRun } from '#src/cluster/commit.js'
import { partsIn } from '#src/cluster/run-state.js'
import { documentAccount, renderAccount } from '#src/view/run-account.js'
import { inFolder } from '../support/build-run.js'
import { pretend } from '../run/devices/pretend.js'
import { contentsOf, doPart, finish, laidOut, valueOf, writeProject } from './small-project.js'

const RECIPE = {
  steps: {
    strong: { op: 'mask.magnitude', model: 'a', base: 'base', quantile: 0.7 },
    x: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.25, mask: 'strong' },
  },
  outputs: { x: { from: 'x', path: 'out.safetensors' } },
}

test('tasks that get a GPU, or another number of them, write the bytes of the processor, and the report says which did', () =>
  inFolder(async (folder) => {
    const [one, many] = [join(folder, 'one'), join(folder, 'many')]
    valueOf(await finish(await laidOut(writeProject(one, RECIPE), { parts: 3 })))
    const { run, plan } = await laidOut(writeProject(many, RECIPE), { parts: 3, device: 'auto' })
    const gpus = ['3', '0,1'] as const
    for (let part = 0; part < partsIn(plan); part++) {
      const { start, choose } = pretend(part === 0 ? 'cuda:0' : 'cuda:1')
      const onGpu = { start: start!, choose: choose!, gpus: gpus[part] ?? '' }
      valueOf(await doPart(run, part, part < gpus.length ? onGpu : {}))
    }
    valueOf(await commitRun(run))
    expect(contentsOf(many)).toEqual(contentsOf(one))
    const account = accountOf(run)!
    expect(account.map(({ device, reason, attempts }) => [device, reason, attempts[0]?.gpus])).toEqual([
      ['cuda:0', 'a test', '3'],
      ['cuda:1', 'a test', '0,1'],
      ['cpu', expect.stringContaining('too little work') as string, undefined],
    ])
    expect(renderAccount(account)).toMatch(/\(cpu\) {2}1 part[^]*\(cuda:0\) {2}1 part[^]*\(cuda:1\) {2}1 part/)
    const cells = documentAccount('r', run, account).sections.flatMap((s) => (s.type === 'table' ? s.rows : []))
    expect(JSON.stringify(cells)).toContain('"cuda:1","0,1"')
    expect(readFileSync(join(run, 'account.json'), 'utf8')).toContain('cuda:0')
  }))
