/**
 * Evaluates a step of an operator that builds each tensor separately: checks its models and masks, decides what happens
 * to every tensor, and returns the step's values.
 */
import { alsoOf } from '../base/catalogue/operators.js'
import type { MissingReason } from '../base/catalogue/reach.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Mask, Tensor } from '../graph/expression.js'
import { accepted, buildTensors, type BuiltTensors } from './build-tensor.js'
import { labelOf, masksOf, modelsOf } from './call-arguments.js'
import { countResults } from './count-results.js'
import type { AnyDefinition } from './definition.js'
import type { Call } from './operator.js'
import { withTensorClass } from './tensor-class.js'
import type { InputSpecs } from './params.js'
import { createCounter, explainMissing, noteDropped, refuseMask, refuseModels } from './reach.js'
import { resolveArguments, settleTensors, stepContext, type StepContext } from './settle-tensor.js'
import type { MaskValue, ModelValue, Reference, Value } from './value.js'

/** The values of a definition for a call: a model, or masks. All problems of its tensors are reported together. */
export const applyDefinition = (definition: AnyDefinition, uncounted: Call): Result<readonly Value[]> => {
  const counter = createCounter(uncounted)
  const call: Call = { ...uncounted, note: counter.note }
  const models = allModels(definition.inputs, call)
  const first = models[0]!.value
  const compares = definition.merges || models.length > 1
  const refused = compares ? (refuseModels(call, models) ?? foreignMasks(definition, call, first)) : undefined
  if (refused !== undefined) return failed(refused)
  const args = resolveArguments(definition, call, first.tensors)
  if (args.type === 'failed') return args
  const whyMissing = missingReasons(call, first)
  const step = stepContext({ definition, call, models, args: args.value, counter, whyMissing })
  const problems: Diagnostic[] = [...args.diagnostics]
  const merged = settleTensors(step, problems)
  if (definition.merges) append(problems, noteDropped(call, models))
  const idle =
    compares && problems.every((d) => d.severity !== 'error')
      ? counter.verdict(models, definition.output === 'mask' ? 'mask' : 'model')
      : undefined
  if (idle !== undefined) problems.push(idle)
  const built = buildTensors(step, merged, (warning) => problems.push(warning))
  append(problems, built.refused)
  const told = tellOnce(problems)
  if (told.some((d) => d.severity === 'error')) return failed(...told)
  return ok(definition.output === 'mask' ? maskValues(step, built) : modelValues(step, built), told)
}

/** Every model input in the order the operator declares them; the first gives the result its tensors. */
const allModels = (inputs: InputSpecs, call: Call): readonly Reference<ModelValue>[] =>
  Object.keys(inputs)
    .filter((key) => inputs[key]!.type === 'model')
    .flatMap((key) => modelsOf(call, key))

/**
 * The first mask of a step that covers no tensor of its first model: the shared one, or one among the inputs and
 * parameters.
 */
const foreignMasks = ({ inputs }: AnyDefinition, call: Call, first: ModelValue): Diagnostic | undefined => {
  const own = [call.params, ...call.each]
    .flatMap((args) => Object.values(args))
    .flatMap((a) => (a.type === 'mask' ? [{ value: a.value, at: a.at }] : []))
  const listed = Object.keys(inputs)
    .filter((key) => inputs[key]!.type === 'mask')
    .flatMap((key) => masksOf(call, key))
  for (const mask of [call.shared.mask, ...listed, ...own]) {
    const foreign = refuseMask(mask, first)
    if (foreign !== undefined) return foreign
  }
  return undefined
}

/** Why models lack tensors of the first, determined once for each. */
const missingReasons = (call: Call, first: ModelValue): StepContext['whyMissing'] => {
  const reasons = new Map<ModelValue, MissingReason>()
  return (other) => {
    const reason = reasons.get(other) ?? explainMissing(call, first, other)
    reasons.set(other, reason)
    return reason
  }
}

const modelValues = (step: StepContext, built: BuiltTensors): ModelValue[] => {
  const { definition, models } = step
  const first = models[0]!.value
  return labelsOf(step).map((label, i) =>
    withTensorClass<ModelValue>(
      {
        kind: 'model',
        space: definition.space ?? first.space,
        label,
        tensors: first.tensors,
        ...(built.shares ? { shares: true } : {}),
        tensor: (name) => {
          const value = built.get(name) as Tensor | readonly Tensor[] | undefined
          if (value === undefined || 'kind' in value) return value ?? first.tensor(name)
          return accepted(value[i], definition.id, name) as Tensor
        },
      },
      built.tensorClass,
    ),
  )
}

/** What to call each result of a step. */
const labelsOf = ({ definition, call }: StepContext): readonly string[] => {
  const plain = Object.fromEntries(
    Object.entries(call.params).map(([key, a]) => [key, a.type === 'value' ? a.value : undefined]),
  )
  const count = countResults(definition, plain, call.inputs)
  return Array.from({ length: count }, (_, i) => (count === 1 ? labelOf(call) : `\`${call.step}.${i + 1}\``))
}

/** Masks know the tensors they were built for, and no others. */
const maskValues = (step: StepContext, built: BuiltTensors): MaskValue[] => {
  const { definition } = step
  return labelsOf(step).map((label, i) =>
    withTensorClass<MaskValue>(
      {
        kind: 'mask',
        label,
        shapes: built.shapes,
        ...(built.shares ? { shares: true } : {}),
        mask: (name) => {
          const value = accepted(built.get(name), definition.id, name) as Mask | readonly Mask[]
          return 'kind' in value ? value : (accepted(value[i], definition.id, name) as Mask)
        },
        constant: (name) => built.foreseen(name, i),
      },
      built.tensorClass,
    ),
  )
}

/** One problem per kind and place: two models of different architectures differ in hundreds of tensors. */
const tellOnce = (problems: readonly Diagnostic[]): readonly Diagnostic[] => {
  const groups = new Map<string, Diagnostic[]>()
  for (const problem of problems) {
    const key = `${problem.code} ${placeKey(problem.at)}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [problem])
    else group.push(problem)
  }
  return [...groups.values()].map(([first, ...more]) => (more.length === 0 ? first! : alsoOf(first!, more.length)))
}

const placeKey = (at: Place | undefined): string =>
  at?.type === 'text' ? `${at.range.source.path} ${at.range.start}` : JSON.stringify(at)
