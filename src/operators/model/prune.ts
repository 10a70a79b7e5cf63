import { COMMON } from '../aliases.js'
import { isEma, matchEma } from '../../architectures/ema.js'
import { COMPANIONS, TEXT_ENCODERS } from '../../architectures/parts.js'
import { findUnread } from '../../architectures/unread.js'
import type { Component } from '../../architectures/family.js'
import { prunedAll, prunesNothing } from '../../base/catalogue/model-operators.js'
import { failed, ok, type Result } from '../../base/result.js'
import { labelOf, modelsOf, valueOf } from '../call-arguments.js'
import type { Call, Operator } from '../operator.js'
import { choice, choices, model } from '../params.js'
import type { ModelValue, Slot, Value } from '../value.js'

const DROP = {
  ema: 'averages of the weights, `model_ema.*`',
  optimizer: 'the state of a training: optimiser, schedulers, callbacks, loops, `global_step`, `epoch`',
  loss: 'networks that only training uses, below `loss`: discriminators and the like',
  duplicates:
    'text encoders and VAEs where the programs of the architecture do not look, if it has others where they do, such as `cond_stage_model.*` beside `conditioner.*` in SDXL',
  text_encoders: 'the text encoders, for programs that load them from files of their own',
  vae: 'the VAE, for programs that load one from a file of its own',
} as const

type Part = keyof typeof DROP

const EMA = {
  ignore: 'the weights stay as they are',
  use: 'the averages take their place, and are dropped from their own',
} as const

const DEFAULTS = ['ema', 'optimizer', 'loss', 'duplicates'] as const satisfies readonly Part[]

const OPTIMIZER =
  /^(?:optimizer|optimizer_states?|lr_schedulers?|callbacks|loops|global_step|epoch|(?:native_)?amp_scaling_state|hyper_parameters)(?:\.|$)/
const LOSS = /^(?:(?:first_stage_model|vae)\.)?loss\./

/** What a tensor is part of; in a network that smelt does not know, by the root under which checkpoints have it. */
const componentIn = (call: Call, tensors: ModelValue['tensors']): ((name: string) => Component | undefined) => {
  const architecture = call.architecture(tensors)
  return (name) =>
    architecture?.locate(name).component ?? COMPANIONS.find(([prefix]) => name.startsWith(`${prefix}.`))?.[1]
}

/** Which part each tensor is, of those that are dropped; the first in the order of {@link DROP}. */
const partsOf = (call: Call, tensors: ModelValue['tensors']): ((name: string) => Part | undefined) => {
  const names = [...tensors.keys()]
  const architecture = call.architecture(tensors)
  const unread = architecture === undefined ? new Set<string>() : findUnread(architecture, names)
  const componentOf = componentIn(call, tensors)
  const isPart: Readonly<Record<Part, (name: string) => boolean>> = {
    ema: isEma,
    optimizer: (name) => OPTIMIZER.test(name),
    loss: (name) => LOSS.test(name),
    duplicates: (name) => unread.has(name),
    text_encoders: (name) => TEXT_ENCODERS.includes(componentOf(name) ?? 'other'),
    vae: (name) => componentOf(name) === 'vae',
  }
  const given = [(valueOf(call, 'drop') as Part | readonly Part[] | undefined) ?? DEFAULTS].flat()
  const dropped = new Set<Part>(valueOf(call, 'ema') === 'use' ? [...given, 'ema'] : given)
  const order = (Object.keys(DROP) as readonly Part[]).filter((part) => dropped.has(part))
  return (name) => order.find((part) => isPart[part](name))
}

const evaluate = (call: Call): Result<readonly Value[]> => {
  const { value, at } = modelsOf(call, 'model')[0]!
  const { tensors, space, tensor, label } = value
  const averages =
    valueOf(call, 'ema') === 'use' ? matchEma(tensors, label, call.at('ema')) : ok(new Map<string, string>())
  if (averages.type === 'failed') return averages
  const partOf = partsOf(call, tensors)
  const slots = new Map<string, Slot>()
  for (const [name, slot] of tensors) {
    const [part, average] = [partOf(name), averages.value.get(name)]
    if (part !== undefined) call.note({ type: `dropped (${part})`, tensor: name })
    else if (average === undefined) slots.set(name, slot)
    else {
      call.note({ type: 'replaced', tensor: name, from: average })
      slots.set(name, { ...tensors.get(average)!, name })
    }
  }
  if (slots.size === 0 && tensors.size > 0) return failed(prunedAll(at, label))
  const idle = slots.size === tensors.size && valueOf(call, 'drop') !== undefined
  return ok(
    [
      {
        kind: 'model',
        space,
        label: labelOf(call),
        tensors: slots,
        tensor: (name) => tensor(averages.value.get(name) ?? name),
      },
    ],
    idle ? [prunesNothing(call.at('drop'), label)] : [],
  )
}

/** Leaves out what a checkpoint does not need. */
export const prune: Operator = {
  id: 'model.prune',
  aliases: [
    { name: 'no-ema', from: 'sd-webui-model-converter', settings: '`drop: [ema]`' },
    { name: 'ema-only', from: 'sd-webui-model-converter', settings: '`ema: use`' },
    { name: 'exchange_ema', from: 'sd-mecha', settings: '`ema: use`, which keeps the averages alone' },
    { name: 'prune', from: 'supermerger', settings: 'nothing; the tables of the noise schedule stay here' },
    { name: 'remove_ema', from: COMMON, settings: '`drop: [ema]`' },
    { name: 'keepOnlyEma', from: 'prune.py of waifu-diffusion', settings: '`ema: use`' },
  ],
  version: 1,
  summary: 'Leaves out what a checkpoint does not need: EMA weights, training state, duplicates.',
  details: [
    'The result has all other tensors, as they are. The plan counts what is dropped, by the words of `drop`. Unless `drop` says otherwise, what is there of averages, training state, losses and duplicates goes; programs do not read any of it.',
    '',
    'EMA weights are averages over the training, which some checkpoints have besides the weights themselves, under names without dots (`model_ema.diffusion_modelinput_blocks00weight`). They are often the better ones to draw with, the others better to train on. With `ema: use` they take the place of the weights: each must be the average of exactly one weight by name and shape. Weights without an average stay.',
    '',
    'The tables of the noise schedule (`betas`, `alphas_cumprod`, …) and marks such as `v_pred` stay: for some models they decide how they are sampled. `model.select` leaves out anything else.',
  ].join('\n'),
  output: 'model',
  inputs: { model: model('The model.', 'any') },
  params: {
    drop: choices(DROP, DEFAULTS, 'What is left out, where it is there.'),
    ema: choice(EMA, 'ignore', 'What becomes of EMA weights.'),
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: {
        model: {
          'model.diffusion_model.out.weight': [1, 2],
          'model_ema.diffusion_modeloutweight': [3, 4],
          'optimizer_states.0.exp_avg': [5, 6],
        },
      },
      expect: { 'model.diffusion_model.out.weight': [1, 2] },
    },
    {
      title: 'the averages in place of the weights',
      inputs: {
        model: {
          'model.diffusion_model.out.weight': [1, 2],
          'model_ema.diffusion_modeloutweight': [3, 4],
          'first_stage_model.quant_conv.bias': [5, 6],
        },
      },
      params: { ema: 'use' },
      expect: { 'model.diffusion_model.out.weight': [3, 4], 'first_stage_model.quant_conv.bias': [5, 6] },
    },
    {
      title: 'without the VAE',
      inputs: {
        model: { 'model.diffusion_model.out.weight': [1, 2], 'first_stage_model.quant_conv.bias': [5, 6] },
      },
      params: { drop: 'vae' },
      expect: { 'model.diffusion_model.out.weight': [1, 2] },
    },
  ],
  evaluate,
}
