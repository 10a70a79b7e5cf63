import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { build } from '#src/run/build.js'
import { renderReport } from '#src/view/report/render.js'
import { makeBase, readCheckpoint, train, writeCheckpoint, type Checkpoint } from '../recipes/checkpoint.js'
import { makeLora, type Adapted } from '../recipes/lora.js'
import { inlineWorker } from '../support/inline-worker.js'
import { ROOT } from './program.js'

/** The page for those who come from daremerge. */
export const PAGE = readFileSync(join(ROOT, 'docs/coming-from-daremerge.md'), 'utf8')
const [HEAD, ...SNIPPETS] = [...PAGE.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text!)
/** Each snippet under the heading it stands below. */
const titled = SNIPPETS.map(
  (text) =>
    [
      PAGE.slice(0, PAGE.indexOf(text))
        .match(/^#+ .*$/gm)!
        .at(-1)!
        .replace(/^#+ /, ''),
      text,
    ] as const,
)

const RESULT = 'outputs:\n  merged: { from: merged, path: build/merged.safetensors }\n'

const ATTENTION = 'input_blocks.4.1.transformer_blocks.0.attn1.to_q'
const MODULES: readonly Adapted[] = [
  { name: `lora_unet_${ATTENTION.replaceAll('.', '_')}`, tensor: `model.diffusion_model.${ATTENTION}.weight` },
]

/**
 * Blocks that are like their neighbours: without them a checkpoint is a third as large, and has every kind of block and
 * layer.
 */
const ALIKE =
  /\.input_blocks\.(1|3|5|6|7|9|10)\.|\.output_blocks\.([1-7]|9|10)\.|\.layers\.([2-9]|10)\.|\.(up|down)\.[12]\./

/** Tests of some of the snippets, over small checkpoints of an architecture. */
export const testSnippets = (architecture: 'sd15' | 'sdxl', isMeant: (i: number) => boolean): unknown =>
  describe(`of a small ${architecture} checkpoint`, () => {
    let folder: string
    let base: Checkpoint
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'smelt-daremerge-'))
      base = new Map([...makeBase(architecture, 1)].filter(([name]) => !ALIKE.test(name)))
      for (const [name, checkpoint] of Object.entries({
        base,
        a: train(base, 2),
        b: train(base, 3),
        lora: makeLora(base, MODULES, 4).file,
      })) {
        writeCheckpoint(join(folder, `${name}.safetensors`), checkpoint)
      }
    })
    afterAll(() => rmSync(folder, { recursive: true, force: true }))

    test.each(titled.filter((_, i) => isMeant(i)))(
      'what stands under “%s” builds as it stands, and changes the U-Net or the text encoder',
      async (_title, steps) => {
        writeFileSync(join(folder, 'recipe.yaml'), `${HEAD}${steps}${steps.includes('outputs:') ? '' : RESULT}`)
        const built = await build(join(folder, 'recipe.yaml'), {
          workers: 1,
          start: inlineWorker,
          render: renderReport,
        })
        expect(built.diagnostics.filter((d) => d.severity === 'error')).toEqual([])
        if (steps.includes('outputs:')) {
          for (const [, path] of steps.matchAll(/path: ([\w./]+)/g))
            expect(readFileSync(join(folder, path!), 'utf8').length).toBeGreaterThan(100)
          return
        }
        const [a, merged] = [
          await readCheckpoint(join(folder, 'a.safetensors')),
          await readCheckpoint(join(folder, 'build/merged.safetensors')),
        ]
        const changed = [...a]
          .filter(([name, { numbers }]) => merged.get(name)!.numbers.some((x, i) => x !== numbers[i]))
          .map(([name]) => name)
        expect(changed.length).toBeGreaterThan(0)
        expect(changed.filter((name) => name.endsWith('position_ids') || name.endsWith('logit_scale'))).toEqual([])
      },
    )
  })
