import { adjustArchitecture, adjustChannels, adjustsNothing } from '../../base/catalogue/model-operators.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { Tensor } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { DIFFUSION_ROOTS, under } from '../../tensor/roots.js'
import { modelsOf, valueOf } from '../call-arguments.js'
import { defineOperator } from '../define.js'
import type { Call, Operator } from '../operator.js'
import { choice, model, number } from '../params.js'

const LATENTS = {
  auto: 'what the architecture shows',
  sd: 'Stable Diffusion 1 and 2',
  sdxl: 'Stable Diffusion XL',
} as const

type Latents = Exclude<keyof typeof LATENTS, 'auto'>

/** The latents of architectures, by their ids. */
const LATENTS_OF: Readonly<Record<string, Latents>> = {
  sd1: 'sd',
  sd2: 'sd',
  sdxl: 'sdxl',
  'sdxl-small': 'sdxl',
  'sdxl-refiner': 'sdxl',
}

/** What brightness and the three colours add to the last three channels of the latents. */
const COLOURS: Readonly<Record<Latents, readonly (readonly number[])[]>> = {
  sd: [
    [-1, 1 / 3, 2 / 3],
    [1, 1, 0],
    [0, -1, -1],
    [1, 0, 1],
  ],
  sdxl: [
    [0, 0, 1],
    [1, 0, 0],
    [-1, -1, 0],
    [-1, 1, 0],
  ],
}

/** A unit of contrast, brightness or a colour. */
const SHIFT = 0.02

const SETTINGS = ['in', 'out', 'out2', 'contrast', 'brightness', 'cyan_red', 'magenta_green', 'yellow_blue'] as const

type Settings = Readonly<Record<(typeof SETTINGS)[number], number>>

/** The factors of tensors, by their paths in the U-Net. */
const factorsOf = (s: Settings): Readonly<Record<string, number>> => ({
  'input_blocks.0.0.weight': 1 - s.in * 0.01,
  'input_blocks.0.0.bias': 1 + s.in * 0.02,
  'out.0.weight': 1 - s.out * 0.01,
  'out.0.bias': 1 + s.out * 0.02,
  'out.2.weight': 1 - s.out2 * 0.01,
})

const LAST_BIAS = 'out.2.bias'

/** What is added to each channel of the last bias. */
const shiftsOf = (s: Settings, latents: Latents): readonly number[] => {
  const amounts = [s.brightness, s.cyan_red, s.magenta_green, s.yellow_blue]
  return [
    s.contrast * SHIFT,
    ...[0, 1, 2].map((channel) =>
      COLOURS[latents].reduce((sum, colour, i) => sum + colour[channel]! * amounts[i]! * SHIFT, 0),
    ),
  ]
}

/** A number for each channel. */
const perChannel = (g: Graph, numbers: readonly number[]): Tensor =>
  numbers.reduceRight<Tensor>(
    (others, x, channel) => g.choose(g.compare('equal', g.position(1, numbers.length), channel), x, others),
    g.fill(0),
  )

const description = {
  id: 'model.adjust',
  aliases: [
    {
      name: 'Adjust',
      from: 'supermerger',
      settings:
        'its eight numbers in the order of the parameters: `contrast` is its CONT, `brightness` is its BRI, `cyan_red` is its COL1, `magenta_green` is its COL2, `yellow_blue` is its COL3',
    },
    {
      name: 'fine',
      from: 'supermerger',
      settings: 'the list `fine` holds its eight numbers in the order of the parameters',
    },
    { name: 'Adjust', from: 'sd-webui-model-mixer', settings: 'its eight numbers in the order of the parameters' },
  ],
  version: 1,
  summary: 'Adjusts detail, contrast, brightness and colours of Stable Diffusion.',
  details: [
    'Changes the first and the last layers of the U-Net, as supermerger’s “Adjust” does, by eight numbers, of which 0 changes nothing.',
    '',
    '| tensor | becomes |',
    '|---|---|',
    '| `input_blocks.0.0.weight`, `.bias` | `weight·(1 − 0.01·in)`, `bias·(1 + 0.02·in)` |',
    '| `out.0.weight`, `.bias` | `weight·(1 − 0.01·out)`, `bias·(1 + 0.02·out)` |',
    '| `out.2.weight` | `weight·(1 − 0.01·out2)` |',
    '| `out.2.bias` | `bias + 0.02·[contrast, c₁, c₂, c₃]` |',
    '',
    '`c` is the sum of brightness and the three colours, each times a direction in the latents: `[−1, ⅓, ⅔]`, `[1, 1, 0]`, `[0, −1, −1]`, `[1, 0, 1]` for Stable Diffusion 1 and 2, and `[0, 0, 1]`, `[1, 0, 0]`, `[−1, −1, 0]`, `[−1, 1, 0]` for XL, its distilled versions and its refiner. Other architectures have other latents and are refused.',
  ].join('\n'),
  source: 'sd-webui-supermerger, “Adjust”',
  output: 'model',
  inputs: { model: model('The model.') },
  params: {
    in: number({ default: 0, description: 'Detail and noise, by the first layer.' }),
    out: number({ default: 0, description: 'Detail and noise, by the norm before the last layer.' }),
    out2: number({ default: 0, description: 'Detail and noise, by the last layer.' }),
    contrast: number({ default: 0, description: 'Contrast.' }),
    brightness: number({ default: 0, description: 'Brightness.' }),
    cyan_red: number({ default: 0, description: 'The colour from cyan to red; COL1 in supermerger.' }),
    magenta_green: number({ default: 0, description: 'The colour from magenta to green; COL2 in supermerger.' }),
    yellow_blue: number({ default: 0, description: 'The colour from yellow to blue; COL3 in supermerger.' }),
    latents: choice(LATENTS, 'auto', 'The latents whose colours are meant.'),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'more detail, and redder',
      inputs: {
        model: {
          'input_blocks.0.0.weight': [1, 2],
          'input_blocks.0.0.bias': [1, 2],
          'out.2.bias': [0, 0, 0, 0],
        },
      },
      params: { latents: 'sd', in: 5, cyan_red: 2 },
      expect: {
        'input_blocks.0.0.weight': [0.95, 1.9],
        'input_blocks.0.0.bias': [1.1, 2.2],
        'out.2.bias': [0, 0.04, 0.04, 0],
      },
    },
    {
      title: 'contrast, and brighter, in the latents of XL',
      inputs: { model: { 'out.2.bias': [0, 0, 0, 1] } },
      params: { latents: 'sdxl', contrast: 1, brightness: -1 },
      expect: { 'out.2.bias': [0.02, 0, 0, 0.98] },
    },
  ],
} as const

/** The latents of a step, and the root of its U-Net. */
const findNetwork = (call: Call): Result<{ readonly latents: Latents; readonly root: string }> => {
  const { value, at } = modelsOf(call, 'model')[0]!
  const architecture = call.architecture(value.tensors)
  const given = valueOf(call, 'latents') as keyof typeof LATENTS | undefined
  const own = architecture === undefined ? undefined : LATENTS_OF[architecture.id]
  const latents = given === undefined || given === 'auto' ? own : given
  if (latents === undefined) return failed(adjustArchitecture(at, value.label, architecture?.title))
  const paths = [...Object.keys(factorsOf(NEUTRAL)), LAST_BIAS]
  const root = DIFFUSION_ROOTS.find((candidate) => paths.some((path) => value.tensors.has(under(candidate, path))))
  return root === undefined ? failed(adjustsNothing(at, value.label, paths)) : ok({ latents, root })
}

const NEUTRAL = Object.fromEntries(SETTINGS.map((key) => [key, 0])) as Settings

/** The first and last layers of a U-Net, scaled and shifted. */
export const adjust: Operator = {
  ...description,
  evaluate: (call) => {
    const network = findNetwork(call)
    if (network.type === 'failed') return network
    const { latents, root } = network.value
    const settings = Object.fromEntries(SETTINGS.map((key) => [key, valueOf(call, key) ?? 0])) as Settings
    const factors = new Map(
      Object.entries(factorsOf(settings)).flatMap(([path, factor]) =>
        factor === 1 ? [] : [[under(root, path), factor] as const],
      ),
    )
    const [bias, shifts] = [under(root, LAST_BIAS), shiftsOf(settings, latents)]
    const isShifted = shifts.some((x) => x !== 0)
    const { value, at } = modelsOf(call, 'model')[0]!
    const shape = value.tensors.get(bias)?.shape
    if (isShifted && shape !== undefined && shape.join() !== '4') return failed(adjustChannels(at, bias, shape))
    const element = defineOperator({
      ...description,
      touches: (name) => factors.has(name) || (isShifted && name === bias),
      build: (g, { model: x }, _, { name }) =>
        name === bias ? g.add(x, perChannel(g, shifts)) : g.mul(x, factors.get(name)!),
    })
    return element.evaluate(call)
  },
}
