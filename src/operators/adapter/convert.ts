import { kohyaMetadata } from '../../architectures/adapters/kohya-metadata.js'
import { matchAdapter } from '../../architectures/adapters/match.js'
import { taskOf } from '../../architectures/adapters/names.js'
import { scalesOf } from '../../architectures/adapters/scale.js'
import { alphaName, type NameFormat } from '../../architectures/adapters/spell.js'
import { alphaFor, peftFactsOf } from '../../architectures/adapters/write-peft-config.js'
import { adapterTensorsIgnored, nothingConverted } from '../../base/catalogue/adapter-tensors.js'
import { modulesLeftOut, modulesUnnamed } from '../../base/catalogue/adapter-outputs.js'
import { failed, ok, type Result } from '../../base/result.js'
import { COMMON, named } from '../aliases.js'
import { adapterOf, labelOf, modelsOf, valueOf } from '../call-arguments.js'
import { renameModules } from '../convert-modules.js'
import { makeAdapter } from '../made-adapter.js'
import { NAME_FORMATS } from '../name-formats.js'
import type { Call, Operator } from '../operator.js'
import { adapter, choice, model } from '../params.js'
import { plainModules } from '../plain-modules.js'
import { isOnlyRenamed, RENAMED_ROLES } from '../rename-factors.js'
import type { Value } from '../value.js'

const UNMATCHED = {
  error: 'stops the build, naming them',
  ignore: 'leaves them out, with a warning that names them: the result lacks what they were trained for',
} as const

const evaluate = (call: Call): Result<readonly Value[]> => {
  const source = adapterOf(call, 'adapter')
  const { at, value } = source
  const { label, file, alpha } = value
  const { label: modelLabel, tensors, hub, origins } = modelsOf(call, 'model')[0]!.value
  const format = (valueOf(call, 'names') ?? 'kohya') as NameFormat
  const strict = valueOf(call, 'unmatched') !== 'ignore'
  const architecture = call.architecture(tensors)
  // Only these names have places for other factors than pairs.
  const modules = plainModules(source, format === 'kohya' ? RENAMED_ROLES : [])
  if (modules.type === 'failed') return modules
  const match = matchAdapter(
    { label, file, alpha, at },
    { label: modelLabel, tensors, architecture, origins: origins?.numbers },
    strict,
  )
  if (match.type === 'failed') return match
  const renamed = renameModules({
    graph: call.graph,
    adapter: value,
    modules: modules.value,
    scaleOf: scalesOf({ label, file, alpha, at }),
    tensors,
    architecture,
    format,
  })
  if (renamed.type === 'failed') return renamed
  const { unnamed, tensors: made, modules: scaled } = renamed.value
  if (strict && unnamed.length > 0) return failed(modulesUnnamed(at, label, renamed.value, format))
  if (made.length === 0) return failed(nothingConverted(at, label, format))
  for (const tensor of match.value.unmatched) call.note({ type: 'unmatched', tensor })
  for (const { slot } of made) call.note({ type: 'renamed', tensor: slot.name })
  const isKohya = format === 'kohya'
  const facts = {
    base: architecture?.id,
    modelspec: architecture?.modelspec,
    ranks: new Set(scaled.map(({ rank }) => rank)),
    alphas: new Set(scaled.map(alphaFor)),
    lycoris: modules.value.some(isOnlyRenamed),
    parents: [file.metadata],
  }
  const said = peftFactsOf([file.config])
  return ok(
    [
      makeAdapter({
        label: labelOf(call),
        tensors: made,
        alphas: new Map(isKohya ? scaled.map((m) => [alphaName(m.name), alphaFor(m)]) : []),
        metadata: isKohya ? kohyaMetadata(facts) : new Map(),
        modules: scaled,
        peft: { base: said.base ?? hub ?? null, task: said.task ?? taskOf(architecture) },
      }),
    ],
    [
      ...(match.value.unmatched.length === 0
        ? []
        : [adapterTensorsIgnored(at, label, modelLabel, match.value.unmatched, file.tensors.size)]),
      ...(unnamed.length === 0 ? [] : [modulesLeftOut(at, label, renamed.value, format)]),
    ],
  )
}

/** The same change under other names. */
export const convert: Operator = {
  id: 'adapter.convert',
  version: 2,
  summary: 'Gives the modules of a LoRA or a similar adapter the names of another program.',
  aliases: [
    { name: 'convert_diffusers_to_kohya', from: 'diffusers', settings: '`names: kohya`' },
    { name: 'convert_flux_lora', from: 'kohya' },
    ...named(COMMON, ['convert lora', 'rename lora']),
  ],
  details: [
    'Names are looked up in `model`, of which only the header is used: any checkpoint of the network will do. The result changes a model as the adapter does.',
    '',
    'The numbers of the factors stay as they are, and their dtype does. Where one program names a fused tensor as a whole and the other its parts (`img_attn.qkv`, or `to_q`, `to_k` and `to_v`), the rows of `up` are cut, and `down` goes to each part; the other way the factors of the parts stand next to each other, with zeros in the rows of the others. The halves of `up` change places where one program stores them the other way round.',
    '',
    'The scale goes where the format has it: with the names of kohya each module gets an `alpha`; with those of PEFT the scale is in the `adapter_config.json`, for which the output has to be a folder (`path: lora/`); with those of diffusers it is multiplied into `lora_B`, which is exact for a scale that is a power of two, and otherwise rounds once in the dtype of the factor.',
    '',
    'Takes pairs of factors (LoRA and LoCon) and, to the names of kohya, stored differences, LoHa, LoKr, DoRA and LoCon with a Tucker core, whose tensors keep their numbers and get the names of LyCORIS; other kinds are refused. These cannot be cut or put together: a module that the format names by parts, or as part of another, has no name then. A module without a name in the format is an error.',
  ].join('\n'),
  output: 'adapter',
  inputs: {
    adapter: adapter('The adapter: from the block `adapters` of the recipe, or what a step makes.'),
    model: model('A model that the adapter can be applied to.', 'any'),
  },
  params: {
    names: choice(NAME_FORMATS, 'kohya', 'How modules are named.'),
    unmatched: choice(UNMATCHED, 'error', 'What happens to modules that the model or the format has no name for.'),
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'what the result adds to a model: the same as before',
      inputs: {
        adapter: { 'x.lora_up.weight': [[1], [2]], 'x.lora_down.weight': [[2, 4]], 'x.alpha': 0.5 },
        model: [
          [0, 0],
          [0, 0],
        ],
      },
      params: { names: 'diffusers' },
      expect: [1, 2, 2, 4],
    },
  ],
  evaluate,
}
