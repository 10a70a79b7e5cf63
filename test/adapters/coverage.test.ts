import { describe, expect, test } from 'vitest'
import { CONVENTIONS, type Convention } from '#src/architectures/adapters/conventions.js'
import {
  ENCODER_COVERAGE,
  COVERED_KINDS,
  NETWORK_COVERAGE,
  situationOf,
  type ModulePaths,
  type NetworkCoverage,
  type Situation,
} from '#src/architectures/adapters/coverage.js'
import { matchAdapter, type Recipient } from '#src/architectures/adapters/match.js'
import type { Lines } from '#src/architectures/adapters/magnitude.js'
import { adapterNames, type AdapterTarget } from '#src/architectures/adapters/names.js'
import type { Change } from '#src/architectures/adapters/patch.js'
import { prefixed } from '#src/architectures/adapters/spelling.js'
import { transformerNames } from '#src/architectures/adapters/transformer.js'
import { unetNames } from '#src/architectures/adapters/unet.js'
import { detectArchitecture } from '#src/architectures/detect.js'
import { isKronecker, type Product } from '#src/graph/products.js'
import type { TensorInfo } from '#src/tensor/info.js'
import { part, readTable, type Shapes } from '../architectures/tables.js'

type Shape = readonly number[]
type Form = 'original' | 'diffusers'

/** A checkpoint, read once: names that are generated for it are kept. */
const wholeOf = (name: string): Shapes => {
  const known = wholes.get(name) ?? readTable(name)
  wholes.set(name, known)
  return known
}
const wholes = new Map<string, Shapes>()
const recipients = new WeakMap<Shapes, Recipient>()
const recipientOf = (tensors: Shapes): Recipient => {
  const known = recipients.get(tensors) ?? {
    label: 'm',
    tensors: new Map([...tensors].map(([name, { shape }]) => [name, { shape, dtype: 'F16' as const }])),
    architecture: detectArchitecture(tensors),
  }
  recipients.set(tensors, known)
  return known
}
const ROOT = 'model.diffusion_model'
/** Of layers that are alike, the first and those that the table names. */
const REPEATED = /\.(?:(?:joint|double|single)_blocks|transformer_blocks)\.(?!(?:0|3|9|20|23)\.)\d+\./
const diffusionOf = (name: string): Shapes =>
  new Map([...part(wholeOf(name), ROOT, `${ROOT}.`)].filter(([tensor]) => !REPEATED.test(tensor)))
const shapes = (table: Readonly<Record<string, Shape>>): Shapes =>
  new Map(Object.entries(table).map(([name, shape]) => [`${name}.weight`, { shape: [...shape] }]))

/** A U-Net of three levels with attention in each, of the first and the last blocks of one with four. */
const smaller = (): Shapes =>
  new Map(
    [...diffusionOf('sd15')].flatMap(([name, info]) => {
      const [, side, n] = /(input|output)_blocks\.(\d+)\./.exec(name) ?? []
      if (side === 'input' && Number(n) > 8) return []
      if (side === 'output' && Number(n) < 3) return []
      return [[side === 'output' ? name.replace(`_blocks.${n}.`, `_blocks.${Number(n) - 3}.`) : name, info] as const]
    }),
  )

/** Stable Diffusion 2 and the refiner, told by their widths. */
const widened = (changes: Readonly<Record<string, Shape>>): Shapes => {
  const table = diffusionOf('sd15')
  for (const [name, shape] of Object.entries(changes)) table.set(`${ROOT}.${name}.weight`, { shape: [...shape] })
  return table
}
const CROSS = 'input_blocks.4.1.transformer_blocks.0.attn2.to_k'

/** The original form of each network; of those whose tables are not at hand, what tells them and the modules. */
const ORIGINALS: Readonly<Record<string, () => Shapes>> = {
  'Stable Diffusion 1': () => diffusionOf('sd15'),
  'Stable Diffusion 2': () => widened({ [CROSS]: [640, 1024] }),
  'Stable Diffusion XL': () => diffusionOf('sdxl'),
  'Stable Diffusion XL refiner': () => widened({ 'input_blocks.0.0': [384, 4, 3, 3], [CROSS]: [640, 1280] }),
  'a smaller U-Net': smaller,
  'Stable Diffusion 3': () => diffusionOf('sd3-medium'),
  'Flux, Chroma': () => diffusionOf('flux-dev'),
  Wan: () =>
    shapes({
      'blocks.0.self_attn.q': [8, 8],
      'blocks.0.cross_attn.q': [8, 8],
      'text_embedding.0': [8, 8],
      'blocks.3.self_attn.q': [8, 8],
      'blocks.3.cross_attn.o': [8, 8],
      'blocks.3.ffn.0': [16, 8],
      'blocks.3.norm3': [8],
      'head.head': [16, 8],
    }),
  'Qwen-Image': () =>
    shapes({
      'transformer_blocks.3.attn.to_q': [8, 8],
      'transformer_blocks.3.attn.add_k_proj': [8, 8],
      'transformer_blocks.3.img_mlp.net.0.proj': [32, 8],
      'transformer_blocks.3.img_mod.1': [48, 8],
      txt_in: [8, 12],
    }),
  'Z-Image': () =>
    shapes({
      'layers.0.attention.qkv': [24, 8],
      'noise_refiner.0.attention.qkv': [24, 8],
      'cap_embedder.1': [8, 8],
      'layers.3.attention.qkv': [24, 8],
      'layers.3.attention.out': [8, 8],
      'layers.3.feed_forward.w1': [16, 8],
      x_embedder: [8, 8],
    }),
}

const rootOf = (tensors: Shapes): string => ([...tensors.keys()][0]!.startsWith(`${ROOT}.`) ? ROOT : '')

/** The same network in the form of diffusers: every tensor under its other name, fused ones by their parts. */
const toDiffusers = (tensors: Shapes): Shapes => {
  const root = rootOf(tensors)
  const inside = part(tensors, root)
  const own = root === '' ? tensors : inside
  const unet = unetNames([...own.keys()], false)
  const transformer = transformerNames(own, '')
  return new Map(
    [...own].flatMap(([name, info]) => {
      const [, path, ending] = /^(.+)\.(weight|bias|scale)$/.exec(name) ?? [undefined, name, undefined]
      const others = unet
        ?.other(path!)
        .slice(0, 1)
        .map((other) => ({ path: other, rows: undefined })) ??
        transformer?.other(path!) ?? [{ path: path!, rows: undefined }]
      return (others.length === 0 ? [{ path: path!, rows: undefined }] : others).map(
        ({ path: other, rows }) =>
          [
            ending === undefined ? other : `${other}.${ending === 'scale' ? 'weight' : ending}`,
            { shape: rows === undefined ? info.shape : info.shape.with(0, rows.count) },
          ] as const,
      )
    }),
  )
}

/** What a name should lead to. */
type Expected = Pick<AdapterTarget, 'weight' | 'rows' | 'part' | 'change'>

const bare = ({ weight, rows, part: place, change }: AdapterTarget): Expected => ({
  weight,
  ...(rows === undefined ? {} : { rows }),
  ...(place === undefined ? {} : { part: place }),
  ...(change === undefined ? {} : { change }),
})

/** The rows of each part of a fused module. */
const partsOf = (paths: readonly string[], heights: readonly number[]) =>
  paths.map((path, i) => ({
    path,
    first: heights.slice(0, i).reduce((n, h) => n + h, 0),
    count: heights[i]!,
  }))

/** The names of a module in a form of names, and what each leads to in a form of the model. */
const expectedOf = (
  { original, diffusers, swapped }: ModulePaths,
  names: Convention['form'],
  form: Form,
  at: (path: string) => string,
  heights: readonly number[],
): readonly (readonly [path: string, targets: readonly Expected[]])[] => {
  const fused = diffusers.length > 1
  const parts = partsOf(diffusers, heights)
  const total = heights.reduce((n, h) => n + h, 0)
  const whole = (): readonly Expected[] =>
    form === 'original'
      ? [{ weight: at(original) }]
      : fused
        ? parts.map(({ path, first }) => ({ weight: at(path), part: { first, of: total } }))
        : [{ weight: at(diffusers[0]!), ...(swapped ? { change: 'halves-swapped' } : {}) }]
  const split = (): readonly Expected[] =>
    parts.map(({ path, first, count }) => ({
      weight: at(form === 'original' ? original : path),
      ...(form === 'original' && fused ? { rows: { first, count } } : {}),
      ...(form === 'original' && swapped ? { change: 'halves-swapped' as const } : {}),
    }))
  switch (names) {
    case 'original':
      return [[original, whole()]]
    case 'diffusers':
      return diffusers.map((path, i) => [path, [split()[i]!]])
    case 'processor':
      return diffusers.flatMap((path, i) => {
        const match = /^(.+)\.to_(q|k|v|out\.0)$/.exec(path)
        return match === null
          ? []
          : [[`${match[1]}.processor.to_${match[2] === 'out.0' ? 'out' : match[2]}`, [split()[i]!]]]
      })
    case 'parts':
      return fused ? diffusers.map((_, i) => [`${original}.${i}`, [split()[i]!]]) : []
    case 'xlabs': {
      const n = /\d+/.exec(original)?.[0]
      const inDouble = ['img_attn.qkv', 'txt_attn.qkv', 'img_attn.proj'].findIndex((end) => original.endsWith(end))
      if (inDouble >= 0)
        return [[`double_blocks.${n}.processor.${['qkv_lora1', 'qkv_lora2', 'proj_lora1'][inDouble]}`, whole()]]
      if (original.endsWith('linear2')) return [[`single_blocks.${n}.processor.proj_lora`, whole()]]
      if (!original.endsWith('linear1')) return []
      const count = 3 * heights[0]!
      const targets: readonly Expected[] =
        form === 'original'
          ? [{ weight: at(original), rows: { first: 0, count } }]
          : parts.slice(0, 3).map(({ path, first }) => ({ weight: at(path), part: { first, of: count } }))
      return [[`single_blocks.${n}.processor.qkv_lora`, targets]]
    }
  }
}

/** A network in one of its forms, with the modules that the table names. */
interface Layout {
  readonly network: NetworkCoverage
  readonly form: Form
  readonly model: Recipient
  readonly at: (path: string) => string
  readonly heightsOf: (module: ModulePaths) => readonly number[]
}

const layouts = NETWORK_COVERAGE.flatMap((network): Layout[] => {
  const original = ORIGINALS[network.title]!()
  const diffusers = toDiffusers(original)
  const heightsOf = (module: ModulePaths): readonly number[] =>
    module.diffusers.map((path) => diffusers.get(`${path}.weight`)!.shape[0]!)
  const root = rootOf(original)
  const forms: readonly Layout[] = [
    {
      network,
      form: 'original',
      model: recipientOf(original),
      at: (path) => `${root === '' ? '' : `${root}.`}${path}.weight`,
      heightsOf,
    },
    { network, form: 'diffusers', model: recipientOf(diffusers), at: (path) => `${path}.weight`, heightsOf },
  ]
  return network.title === 'Qwen-Image' ? [forms[0]!] : [...forms]
})
const titleOf = ({ network, form }: Layout): string => `${network.title}, ${form}`
const conventionsOf = ({ family, without }: NetworkCoverage): readonly Convention[] =>
  CONVENTIONS[family].filter(({ trainer }) => !without.includes(trainer))

const spell = (convention: Convention, path: string): readonly string[] => {
  const [dotted, underscored] = [false, true].map((u) => convention.prefixes.filter((p) => p.endsWith('_') === u))
  return prefixed(path, { dotted: dotted!, underscored: underscored! })
}

test('the forms of the table are those that smelt tells apart, and no name of one means two things', () => {
  const odd = new Set(['Wan', 'Qwen-Image', 'Z-Image'])
  for (const { network, form, model } of layouts) {
    const { tensors, architecture } = model
    expect(architecture === undefined, `${network.title}, ${form}`).toBe(form === 'diffusers' || odd.has(network.title))
    const names = adapterNames(tensors, architecture)
    const unclear = [...names].filter(
      ([, targets]) => targets.length > 1 && targets.some(({ part: place }) => place === undefined),
    )
    expect(unclear, `${network.title}, ${form}`).toEqual([])
  }
})

describe.each(layouts.map((layout) => [titleOf(layout), layout] as const))('%s', (_, layout) => {
  const { model } = layout

  test('is reached by the names of every trainer, in the right rows and order', () => {
    const names = adapterNames(model.tensors, model.architecture)
    for (const convention of conventionsOf(layout.network))
      for (const module of layout.network.modules)
        for (const [path, targets] of expectedOf(
          module,
          convention.form,
          layout.form,
          layout.at,
          layout.heightsOf(module),
        ))
          for (const name of spell(convention, path))
            expect(names.get(name)?.map(bare), `${convention.trainer}: ${name}`).toEqual(targets)
  })

  test('is changed by every kind behind every name, at the right place', () => {
    for (const convention of conventionsOf(layout.network)) {
      const { form } = convention
      const paths = layout.network.modules.flatMap((module) =>
        expectedOf(module, form, layout.form, layout.at, layout.heightsOf(module)).map(([path, targets]) => {
          // The page says of cells what is found here.
          if (form !== 'xlabs') expect(situationOf(module, form, layout.form)).toBe(situationIn(targets))
          return { names: spell(convention, path), targets }
        }),
      )
      // U-Nets differ in their blocks alone: behind every prefix the first of them is enough.
      const isAlike = layout.network.family === 'unet' && layout.network !== NETWORK_COVERAGE[0]
      for (let i = 0; i < (isAlike ? 1 : Math.max(...paths.map(({ names }) => names.length), 0)); i++)
        expectKinds(
          model,
          paths.flatMap(({ names, targets }) => (names[i] === undefined ? [] : [{ name: names[i]!, targets }])),
        )
    }
  })
})

/** A name, and what it should lead to. */
interface Named {
  readonly name: string
  readonly targets: readonly Expected[]
}

/** Adapters of every kind for these names change their targets, at their places. */
const expectKinds = (model: Recipient, named: readonly Named[]): void => {
  for (const kind of COVERED_KINDS)
    for (const make of KINDS[kind]) {
      const parts = named.flatMap(({ name, targets }) => {
        const shape = shapeOf(model.tensors, targets)
        const tensors = shape.length > 1 || OF_VECTORS.has(kind) ? make(shape) : undefined
        return tensors === undefined ? [] : [{ name, targets, tensors }]
      })
      if (parts.length > 0) expect(misplaced(parts, model), `${kind} of ${parts[0]!.name} and others`).toEqual([])
    }
}

/** Where in a tensor a change is: its first row, how far its rows are moved on, and whether it is transposed. */
interface Place {
  readonly first: number
  readonly roll: number
  readonly turned: boolean
}

const ofProduct = (product: Product): Partial<Place> => ({
  first: product.firstRow,
  roll: product.roll ?? 0,
  turned: isKronecker(product) ? product.turned === true : product.turned?.down === true,
})
/** Lines over columns are the same in all rows. */
const ofLines = ({ along, of }: Lines): Partial<Place> =>
  along === 'columns' ? {} : { first: of.firstRow, roll: of.roll ?? 0 }

/** What a change shows of its place. */
const shownBy = (change: Change): readonly Partial<Place>[] => {
  switch (change.type) {
    case 'products':
      return [...change.terms.flat().map(ofProduct), ...(change.lengths === undefined ? [] : [ofLines(change.lengths)])]
    case 'stretch':
      return [ofLines(change.by)]
    case 'rotate':
      return [{ first: change.by.firstRow, roll: change.by.roll, turned: change.by.turned }]
    case 'rotate-inputs':
      return [{ turned: change.by.turned }, ...(change.by.factors === undefined ? [] : [ofLines(change.by.factors)])]
    case 'generalised':
      return [ofProduct(change.of.added)]
    case 'replace':
      return ['left' in change.of ? ofProduct(change.of) : { first: 0, roll: 0, turned: false }]
    case 'stored':
      return [{ first: 0, roll: 0, turned: false }]
    case 'experts':
    case 'stacked':
      return []
  }
}

/** Targets that an adapter of some modules does not change, or not at their places, and what it changes beside them. */
const misplaced = (parts: readonly Part[], model: Recipient): readonly string[] => {
  const match = matched(parts, model)
  if (match.type === 'failed') return match.diagnostics.map(({ message }) => message)
  const rest = new Map([...match.value.patches].map(([tensor, patches]) => [tensor, [...patches]]))
  const wrong = parts.flatMap(({ name, targets }) =>
    targets.flatMap(({ weight, rows, part: place, change }): readonly string[] => {
      const patches = rest.get(weight!) ?? []
      const at = patches.findIndex((patch) => JSON.stringify(patch.rows) === JSON.stringify(rows))
      const [patch] = at < 0 ? [] : patches.splice(at, 1)
      if (patch === undefined) return [`${name}: not changed`]
      if (patch.joined !== undefined && patch.joined.first !== place?.first) return [`${name}: joined elsewhere`]
      const height = place?.of ?? rows?.count ?? model.tensors.get(weight!)!.shape[0]!
      const wanted: Place = {
        // Layers that are joined are changed as the one that the adapter has.
        first: place === undefined || patch.joined !== undefined ? (rows?.first ?? 0) : -place.first,
        roll: change === 'halves-swapped' ? height / 2 : 0,
        turned: change === 'transposed',
      }
      return shownBy(patch.change)
        .filter((shown) => JSON.stringify({ ...wanted, ...shown }) !== JSON.stringify(wanted))
        .map((shown) => `${name}: ${JSON.stringify(shown)}, not ${JSON.stringify(wanted)}`)
    }),
  )
  return [...wrong, ...[...rest].flatMap(([tensor, patches]) => patches.map(() => `${tensor}: changed too`))]
}

/** What the targets of a name are, together, as an adapter sees them. */
const shapeOf = (tensors: Recipient['tensors'], targets: readonly Expected[]): Shape => {
  const [{ weight, rows, part: place, change }] = targets as [Expected]
  const { shape } = tensors.get(weight!)!
  if (change === 'transposed') return shape.toReversed()
  return shape.with(0, place?.of ?? rows?.count ?? shape[0]!)
}

const situationIn = (targets: readonly Expected[]): Situation => {
  const [{ rows, part: place, change }] = targets as [Expected]
  return place !== undefined
    ? 'several'
    : rows !== undefined
      ? 'rows'
      : change === 'transposed'
        ? 'transposed'
        : change !== undefined
          ? 'swapped'
          : 'whole'
}

/** The shapes of a module's tensors by their endings, for what it changes. */
type Make = (shape: Shape) => Readonly<Record<string, Shape>> | undefined

/** Kinds that norms have, too. */
const OF_VECTORS: ReadonlySet<string> = new Set(['differences', 'whole tensors'])

const lora: Make = ([rows, ...inner]) => ({ 'lora_up.weight': [rows!, 2], 'lora_down.weight': [2, ...inner] })
const KINDS: Readonly<Record<(typeof COVERED_KINDS)[number], readonly Make[]>> = {
  'LoRA, LoCon, LoHa, LoKr, (IA)³': [
    lora,
    ([rows, ...inner]) => ({ 'lora_B.weight': [rows!, 2], 'lora_A.weight': [2, ...inner] }),
    ([rows, inputs, ...kernel]) =>
      kernel.length === 0
        ? undefined
        : { 'lora_up.weight': [rows!, 2], 'lora_down.weight': [2, inputs!], 'lora_mid.weight': [2, 2, ...kernel] },
    ([rows, ...inner]) => ({
      hada_w1_a: [rows!, 2],
      hada_w1_b: [2, ...inner],
      hada_w2_a: [rows!, 2],
      hada_w2_b: [2, ...inner],
    }),
    ([rows, inputs, ...kernel]) => ({ lokr_w1: [2, 2], lokr_w2: [rows! / 2, inputs! / 2, ...kernel] }),
    ([rows]) => ({ weight: [rows!], on_input: [] }),
  ],
  DoRA: [(shape) => ({ ...lora(shape), dora_scale: [shape[0]!, 1] })],
  'DoRA of inputs': [(shape) => ({ ...lora(shape), dora_scale: [1, shape[1]!] })],
  GLoRA: [
    ([rows, inputs, ...kernel]) => ({
      'a1.weight': [inputs!, 2],
      'a2.weight': [2, inputs!],
      'b1.weight': [rows!, 2],
      'b2.weight': [2, inputs!, ...kernel],
    }),
  ],
  'OFT, BOFT of PEFT': [
    ([, inputs, ...kernel]) => (kernel.some((d) => d > 1) ? undefined : { 'oft_R.weight': [inputs! / 2, 1] }),
    ([rows, ...inner]) => ({ boft_R: [1, inner.reduce((n, d) => n * d, 1), 1, 1], boft_s: [rows!, 1] }),
  ],
  'OFT, BOFT of LyCORIS': [
    ([rows]) => ({ oft_blocks: [rows! / 4, 4, 4] }),
    ([rows]) => ({ oft_blocks: [2, rows! / 4, 4, 4] }),
  ],
  differences: [(shape) => ({ diff: shape })],
  'whole tensors': [(shape) => ({ set_weight: shape })],
}

/** A module of an adapter: its name, its tensors by the ends of theirs, and what it should change. */
interface Part extends Named {
  readonly tensors: Readonly<Record<string, Shape>>
}

/** An adapter of these modules for a model. */
const matched = (parts: readonly Part[], model: Recipient) => {
  const infos = new Map(
    parts.flatMap(({ name: module, tensors }) =>
      Object.entries(tensors).map(([ending, shape]): [string, TensorInfo] => {
        const name = `${module}.${ending}`
        return [name, { name, dtype: ending === 'on_input' ? 'BOOL' : 'F16', shape, file: '', begin: 0, end: 0 }]
      }),
    ),
  )
  const isOft = [...infos.keys()].some((name) => name.endsWith('.oft_R.weight'))
  const file = {
    path: '',
    files: [],
    tensors: infos,
    metadata: new Map(),
    bytes: 0,
    sides: [],
    scalars: new Map([...infos.keys()].map((name) => [name, new Uint8Array(1)])),
    config: isOft ? { peft_type: 'OFT', oft_block_size: 2 } : undefined,
  }
  return matchAdapter({ label: 'a', file, alpha: 2, at: { type: 'option', name: 'x' } }, model, true)
}

/** Where text encoders are, by what begins their names: in checkpoints and in files of their own. */
const ENCODERS: Readonly<Record<string, readonly (readonly [table: string, prefix: string, own: string])[]>> = {
  'CLIP-L of Stable Diffusion 1': [['sd15', 'cond_stage_model.transformer', '']],
  'CLIP-L of Stable Diffusion XL, Stable Diffusion 3, Flux': [
    ['sdxl', 'conditioner.embedders.0.transformer', ''],
    ['sd3-medium', 'text_encoders.clip_l.transformer', ''],
    ['flux-dev', 'text_encoders.clip_l.transformer', ''],
  ],
  'OpenCLIP-H of Stable Diffusion 2': [['sdxl', 'conditioner.embedders.1.model', 'cond_stage_model.model.']],
  'CLIP-G of Stable Diffusion XL, Stable Diffusion 3': [
    ['sdxl', 'conditioner.embedders.1.model', ''],
    ['sd3-medium', 'text_encoders.clip_g.transformer', ''],
  ],
  'T5 of Flux': [['flux-dev', 'text_encoders.t5xxl.transformer', '']],
  'T5 of Stable Diffusion 3': [['sd3-medium', 'text_encoders.t5xxl.transformer', '']],
}

/** The layer of OpenCLIP for a path of Hugging Face. */
const inOpenClip = (path: string, width: number): Expected => {
  if (path === 'text_projection') return { weight: 'text_projection', change: 'transposed' }
  const layer = path.replace('text_model.encoder.layers', 'transformer.resblocks')
  const [, inside, which] = /^(.+)\.self_attn\.(q|k|v)_proj$/.exec(layer) ?? []
  if (inside !== undefined)
    return {
      weight: `${inside}.attn.in_proj_weight`,
      rows: { first: ['q', 'k', 'v'].indexOf(which!) * width, count: width },
    }
  return {
    weight: `${layer.replace('self_attn', 'attn').replace('mlp.fc1', 'mlp.c_fc').replace('mlp.fc2', 'mlp.c_proj')}.weight`,
  }
}

test.each(ENCODER_COVERAGE.map((encoder) => [encoder.title, encoder] as const))(
  '%s is reached and changed by the names of every trainer, in a checkpoint and alone',
  (title, { prefixes, paths }) => {
    for (const [table, prefix, moved] of ENCODERS[title]!) {
      const whole = wholeOf(table)
      const inCheckpoint: Shapes =
        moved === '' ? whole : new Map([...diffusionOf('sd15'), ...part(whole, prefix, moved)])
      const root = moved === '' ? `${prefix}.` : moved
      for (const [tensors, at] of [
        [moved === '' ? whole : inCheckpoint, root],
        ...(moved === '' ? [[part(whole, prefix), ''] as const] : []),
      ] as const) {
        const model = recipientOf(tensors)
        const names = adapterNames(model.tensors, model.architecture)
        const isOpenClip = tensors.has(`${at}transformer.resblocks.0.attn.in_proj_weight`)
        for (const [trainer, all] of Object.entries(prefixes))
          for (const behind of all) {
            const named = paths.map((path): Named => {
              const own: Expected = isOpenClip ? inOpenClip(path, 1280) : { weight: `${path}.weight` }
              return {
                name: behind + (behind.endsWith('_') ? path.replaceAll('.', '_') : path),
                targets: [{ ...own, weight: at + own.weight! }],
              }
            })
            for (const { name, targets } of named)
              expect(names.get(name)?.map(bare), `${trainer} in ${table}${at}: ${name}`).toEqual(targets)
            expectKinds(model, named)
          }
      }
    }
  },
)
