import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { build } from '#src/run/build.js'
import { findOperator } from '#src/operators/index.js'
import { renderReport } from '#src/view/report/render.js'
import { makeBase, readCheckpoint, train, writeCheckpoint, type Checkpoint } from '../recipes/checkpoint.js'
import { makeLora, type Adapted } from '../recipes/lora.js'
import { ROOT } from './program.js'

const PAGE = readFileSync(join(ROOT, 'docs/coming-from-daremerge.md'), 'utf8')
const [HEAD, ...SNIPPETS] = [...PAGE.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text!)
/** Each snippet under the heading it stands below. */
const titled = SNIPPETS.map((text) => [PAGE.slice(0, PAGE.indexOf(text)).match(/^#+ .*$/gm)!.at(-1)!.replace(/^#+ /, ''), text] as const)

const RESULT = 'outputs:\n  merged: { from: merged, path: build/merged.safetensors }\n'

const ATTENTION = 'input_blocks.4.1.transformer_blocks.0.attn1.to_q'
const MODULES: readonly Adapted[] = [{ name: `lora_unet_${ATTENTION.replaceAll('.', '_')}`, tensor: `model.diffusion_model.${ATTENTION}.weight` }]

describe.each(['sd15', 'sdxl'])('of a small %s checkpoint', (architecture) => {
  let folder: string
  let base: Checkpoint
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'smelt-daremerge-'))
    base = makeBase(architecture, 1)
    for (const [name, checkpoint] of Object.entries({ base, a: train(base, 2), b: train(base, 3), lora: makeLora(base, MODULES, 4).file })) {
      writeCheckpoint(join(folder, `${name}.safetensors`), checkpoint)
    }
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each(titled)('what stands under “%s” builds as it stands, and changes the U-Net or the text encoder', async (_title, steps) => {
    writeFileSync(join(folder, 'recipe.yaml'), `${HEAD}${steps}${steps.includes('outputs:') ? '' : RESULT}`)
    const built = await build(join(folder, 'recipe.yaml'), { workers: 1, device: 'cpu', render: renderReport })
    expect(built.diagnostics.filter((d) => d.severity === 'error')).toEqual([])
    if (steps.includes('outputs:')) {
      for (const [, path] of steps.matchAll(/path: ([\w./]+)/g)) expect(readFileSync(join(folder, path!), 'utf8').length).toBeGreaterThan(100)
      return
    }
    const [a, merged] = [await readCheckpoint(join(folder, 'a.safetensors')), await readCheckpoint(join(folder, 'build/merged.safetensors'))]
    const changed = [...a].filter(([name, { numbers }]) => merged.get(name)!.numbers.some((x, i) => x !== numbers[i])).map(([name]) => name)
    expect(changed.length).toBeGreaterThan(0)
    expect(changed.filter((name) => name.endsWith('position_ids') || name.endsWith('logit_scale'))).toEqual([])
  }, 60_000)
})

test('the page names no operator that there is not, and links to files that are there', () => {
  const named = [...PAGE.matchAll(/(?:op: |`)((?:mask|merge|model|weights|adapter|report)\.[a-z_]+)\b/g)].map(([, id]) => id!)
  expect(named.length).toBeGreaterThan(40)
  expect(named.filter((id) => findOperator(id) === undefined)).toEqual([])
  for (const [, path] of PAGE.matchAll(/\]\((?!https?:|#)([^)#]+)\)/g)) expect(() => readFileSync(join(ROOT, dirname('docs/x'), path!))).not.toThrow()
})
