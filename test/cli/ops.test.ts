import { afterAll, describe, expect, it } from 'vitest'
import { makeFolder } from '../support/smelt.js'
import { runHere } from '../support/run-here.js'

const folder = makeFolder()
afterAll(() => folder.remove())

const ops = (...args: readonly string[]) => runHere(folder.path, ['ops', ...args])
const startOf = (text: string, lines: number): string => text.split('\n').slice(0, lines).join('\n')

describe('smelt ops NAME', () => {
  it('says how to get what another tool calls so, and then explains the operator', async () => {
    const { code, stdout, stderr } = await ops('sum', 'twice')
    expect([code, stderr]).toEqual([0, ''])
    expect(startOf(stdout, 9)).toMatchInlineSnapshot(`
      "What other tools call \`sum twice\`, and how to get it here:

      Sources
        supermerger  merge.linear
            \`weight: (1 − alpha)·(1 − beta)\` for A, \`alpha·(1 − beta)\` for B, \`beta\` for C;
            \`missing: keep\`

      merge.linear
      "
    `)
    expect(stdout).toContain(
      '\nOther names\n  `linear`  mergekit\n  `n_average`  sd-mecha\n      `models` without weights\n',
    )
  })

  it('shows every tool that uses the name', async () => {
    expect(startOf((await ops('Weighted-Sum')).stdout, 9)).toMatchInlineSnapshot(`
      "What other tools call \`Weighted-Sum\`, and how to get it here:

      Sources
        sd-mecha  merge.blend
            \`keep: 1 − alpha\`
        AUTOMATIC1111 web UI  merge.blend
            \`keep: 1 − multiplier\`, \`missing: keep\`

      merge.blend"
    `)
  })

  it('says why smelt does not have what another tool calls so', async () => {
    const { code, stdout, stderr } = await ops('rebasin')
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatchInlineSnapshot(`
      "error[absent-method]: smelt does not have \`rebasin\` of sd-mecha: it matches the channels of two models by an assignment, which smelt does not solve
       --> rebasin
      help: run \`smelt ops --search WORDS\` to find what comes near

      1 error
      "
    `)
  })

  it('says so too where smelt has something else of that name', async () => {
    const { code, stdout, stderr } = await ops('cosineA')
    expect([code, stderr]).toEqual([0, ''])
    expect(startOf(stdout, 9)).toMatchInlineSnapshot(`
      "What other tools call \`cosineA\`, and how to get it here:

      Sources
        supermerger  
            not here: it scales the cosines to the range that they have over all layers; \`merge.cosine_a\`
            and \`merge.cosine_b\` are the methods of sd-mecha, which do not

      merge.cosine_a
      "
    `)
  })

  it('says so too where an operator of that name is another one', async () => {
    expect(startOf((await ops('add_difference')).stdout, 13)).toMatchInlineSnapshot(`
      "What other tools call \`add_difference\`, and how to get it here:

      Sources
        AUTOMATIC1111 web UI  merge.add_difference
            \`strength: multiplier\`, \`missing: keep\`
        supermerger  merge.add_difference
            \`strength: alpha\`, \`missing: keep\`
        sd-mecha  merge.add_difference
            of three models: \`strength: alpha\`, \`missing: keep\`
        sd-mecha  model.add
            of a model and a difference: \`strength: alpha\`

      merge.add_difference"
    `)
  })

  it('explains an operator by a common word without further ado', async () => {
    expect(startOf((await ops('bake lora')).stdout, 3)).toBe(startOf((await ops('adapter.apply')).stdout, 3))
  })

  it('lists operators that share a name', async () => {
    expect((await ops('DM_MaskOperations')).stdout).toMatchInlineSnapshot(`
      "What other tools call \`DM_MaskOperations\`, and how to get it here:

      Sources
        ComfyUI-DareMerge  mask.difference
            for the operation \`difference\`
        ComfyUI-DareMerge  mask.intersection
            for the operation \`intersect\`
        ComfyUI-DareMerge  mask.union
            for the operation \`union\`
        ComfyUI-DareMerge  mask.xor
            for the operation \`xor\`

      mask
        mask.difference    True where the first mask is true and none of the others.
        mask.intersection  True where all masks are true.
        mask.union         True where any of the masks is true.
        mask.xor           True where an odd number of the masks are true; for two masks: where they
                           differ.

      \`smelt ops NAME\` shows one of them in full.
      "
    `)
    expect((await ops('edit')).stdout).toMatchInlineSnapshot(`
      "mask
        mask.edit     Changes a mask on some layers.

      weights
        weights.edit  Changes weights on some layers.

      \`smelt ops NAME\` shows one of them in full.
      "
    `)
  })

  it('suggests names of other tools as well', async () => {
    const { code, stderr } = await ops('weigted_sum')
    expect(code).toBe(2)
    expect(stderr).toContain('help: did you mean `weighted_sum`')
  })

  it('gives it as JSON', async () => {
    const parsed = async (...args: readonly string[]) =>
      (JSON.parse((await ops(...args, '--json')).stdout) as { operators: { id: string }[] }).operators
    expect(await parsed('sum twice')).toMatchObject([
      {
        id: 'merge.linear',
        output: 'model',
        aliases: expect.arrayContaining([{ name: 'linear', from: 'mergekit' }]),
        matched: [{ name: 'sum Twice', from: 'supermerger' }],
      },
    ])
    expect((await parsed('add_difference')).map(({ id }) => id)).toEqual(['merge.add_difference', 'model.add'])
    expect((await parsed('mask')).every(({ id }) => id.startsWith('mask.'))).toBe(true)
  })
})

describe('smelt ops --search', () => {
  it('lists operators, the best first, with the names that match and their settings', async () => {
    const { code, stdout } = await ops('--search', 'lora')
    expect(code).toBe(0)
    expect(stdout).toMatchInlineSnapshot(`
      "  adapter.apply       Bakes a LoRA or a similar adapter into a model.
                            \`lora\` in common usage
        adapter.extract     Makes a LoRA of the difference of two models.
                            \`LoraSave\` in ComfyUI: \`rank\`; with its \`bias_diff\`, \`vectors: true\`
                            \`lora from checkpoint\`, \`extract lora\` in common usage
                            \`mergekit-extract-lora\` in mergekit: \`names: peft\`, \`rank\` is its \`--max-rank\`
        adapter.convert     Gives the modules of a LoRA or a similar adapter the names of another program.
                            \`convert_flux_lora\` in kohya
                            \`convert lora\`, \`rename lora\` in common usage
        report.adapter      Shows what an adapter holds, its tags with their counts, and what it would
                            change in a model.
                            \`LoRA Reporting\`, \`DM_LoRAReporting\` in ComfyUI-DareMerge
        adapter.merge       Merges any number of LoRAs into one.
                            \`merge_lora\` in kohya: \`strengths\` are its \`--ratios\`
                            \`svd_merge_lora\` in kohya: \`rank\` is its \`--new_rank\`, \`strengths\` are its
                            \`--ratios\`
                            \`merge LoRAs\` in supermerger
        adapter.resize      Gives a LoRA a lower rank.
                            \`resize_lora\` in kohya: \`rank\` is its \`--new_rank\`; \`--dynamic_method sv_fro\`
                            is \`method: energy\` with \`--dynamic_param\` squared, \`sv_cumulative\` is
                            \`quantile\`, \`sv_ratio\` is \`ratio\` with 1 divided by it
                            \`resize lora\` in common usage
        adapter.core_space  Merges LoRAs in the small space that all of them share.

      \`smelt ops NAME\` shows one of them in full.
      "
    `)
  })

  it('says how many more there are', async () => {
    expect((await ops('--search', 'model')).stdout).toMatch(
      /\n\d+ more operators found; add a word to narrow the search\.\n/,
    )
  })

  it('says when it finds nothing', async () => {
    const { code, stderr } = await ops('--search', 'zzzz')
    expect(code).toBe(2)
    expect(stderr).toMatchInlineSnapshot(`
      "error[no-operator-found]: no operator has \`zzzz\` in its name or description
       --> --search
      help: search for other words, or run \`smelt ops\` to list all operators

      1 error
      "
    `)
  })

  it('gives it as JSON, with the aliases that match', async () => {
    const { operators } = JSON.parse((await ops('--search', 'triple', 'sum', '--json')).stdout) as {
      operators: object[]
    }
    expect(operators[0]).toMatchObject({ id: 'merge.linear', matched: [{ name: 'Triple sum', from: 'supermerger' }] })
  })
})
