import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { inFolder } from '../support/build-run.js'
import { runHere } from '../support/run-here.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const recipe = (path: string): string =>
  `smelt: 1\nmodels: { a: a.safetensors }\noutputs: { o: { from: a, path: ${path} } }\n`

test('an output that another recipe beside this one writes is a warning, which names that recipe', async () => {
  await inFolder(async (folder) => {
    writeSafetensors(join(folder, 'a.safetensors'), { w: { dtype: 'F32', shape: [1], values: [1] } })
    const paths = { one: 'out/o.safetensors', same: './out/o.safetensors', other: 'out/p.safetensors' }
    for (const [name, path] of Object.entries(paths)) writeFileSync(join(folder, `${name}.yaml`), recipe(path))
    writeFileSync(join(folder, 'no.lock.json'), '"o.safetensors"')
    expect((await runHere(folder, ['build', 'one.yaml'])).stderr).not.toContain('warning')
    const told = (await runHere(folder, ['check', 'one.yaml', 'same.yaml', 'other.yaml'])).stderr
    expect(told.match(/^warning.*$/gm)).toEqual([
      'warning[output-of-other]: ./out/o.safetensors is also an output of the recipe `one`: whichever is built last replaces the other',
    ])
    const elsewhere = await runHere(folder, ['build', 'same.yaml', '--out', 'elsewhere'])
    expect([elsewhere.code, /warning/.test(elsewhere.stderr)]).toEqual([0, false])
  })
})
