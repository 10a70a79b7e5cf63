import { beforeAll, describe, expect, test } from 'vitest'
import { buildMerges } from './build.js'
import { baked } from './merges.js'
import { loadNetwork, type Network, type Weights } from './network.js'
import { NETS, results, type Task } from './results.js'

/** Three images of 600: what rounding to half precision moves at most. */
const HALF_A_POINT = 0.005 + 1e-9

const TASKS: readonly Task[] = ['upright', 'A', 'B', 'C', 'D']

const WAYS = ([1, 0.5] as const).flatMap((strength) => [
  { name: `the LoRA in half precision at ${strength}`, steps: baked('lora_kohya16', 'base', strength), strength },
  {
    name: `the LoRA in half precision at ${strength} in a model in half precision`,
    steps: baked('lora_kohya16', 'base16', strength),
    strength,
  },
  {
    name: `PEFT’s LoRA at ${strength} in a model in half precision`,
    steps: baked('lora_peft', 'base16', strength),
    strength,
  },
])

describe.each(NETS)('%s', (net) => {
  const { deterministic_merges: measured, accuracy } = results.nets[net]
  let network: Network
  let built: Readonly<Record<string, Weights>>
  beforeAll(async () => {
    network = await loadNetwork(net)
    const nothing = [
      ['no LoRA', baked('lora_kohya', 'base', 0)],
      [
        'taken out again',
        { once: baked('lora_kohya', 'base', 1)['merge']!, merge: { ...baked('lora_kohya', 'once', -1)['merge']! } },
      ],
    ] as const
    built = await buildMerges(
      net,
      Object.fromEntries([...WAYS.map(({ name, steps }) => [name, steps] as const), ...nothing]),
    )
  })

  test.each(WAYS)('$name answers as measured', async ({ name, strength }) => {
    const expected = measured[`lora_D_scale${strength.toFixed(1)}`]!.accuracy
    for (const task of TASKS)
      expect([task, Math.abs((await network.accuracy(built[name]!, task)) - expected[task]) <= HALF_A_POINT]).toEqual([
        task,
        true,
      ])
  })

  test.each(['no LoRA', 'taken out again'])('with %s the base answers as before', async (name) => {
    for (const task of TASKS)
      expect(Math.abs((await network.accuracy(built[name]!, task)) - accuracy['base']![task])).toBeLessThanOrEqual(
        HALF_A_POINT,
      )
  })
})
