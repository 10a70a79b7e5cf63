import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createExec } from '#src/cluster/exec.js'
import { makeRunFolder } from '#src/cluster/layout.js'
import { inFolder } from '../support/build-run.js'

test('tasks of one host at one time have different slots, and those that end leave theirs to others', () =>
  inFolder(async (folder) => {
    makeRunFolder(folder)
    // Each says where it is, and waits to be let go.
    const template = 'touch {run}/{host}.{slot}.{part}; while [ ! -e {run}/go{part} ]; do sleep 0.02; done'
    const exec = createExec({ run: folder, template, hosts: ['a', 'b'], parallel: 4, smelt: 'smelt' })
    const told = (): readonly string[] => readdirSync(folder).filter((name) => /^[ab]\./.test(name))
    const until = async (count: number): Promise<void> => {
      while (told().length < count) await new Promise((done) => setTimeout(done, 10))
    }
    try {
      await exec.submit([0, 1, 2, 3, 4], () => undefined)
      await until(4)
      expect(told()).toEqual(['a.0.0', 'a.1.2', 'b.0.1', 'b.1.3'])
      writeFileSync(join(folder, 'go0'), '')
      await until(5)
      expect(told()).toContain('a.0.4')
    } finally {
      await exec.withdraw()
    }
  }))
