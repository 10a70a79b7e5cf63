import type { Pass } from '../graph/passes.js'
import { viewsOf } from '../graph/products.js'
import type { Note } from '../operators/operator.js'
import type { Value } from '../operators/value.js'
import { stepOf } from '../recipe/scope.js'
import type { Recipe, Step } from '../recipe/recipe.js'
import { usesOf } from '../recipe/step.js'
import type { Model } from '../safetensors/model.js'
import { bytesFor } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'
import { isWhole, selectionText, viewBytes, wholeOf, type View } from '../tensor/view.js'
import type { LayerContext } from './context.js'
import type { Evaluated } from './evaluate.js'
import { inputTitle, type OpenedInput } from './inputs.js'
import type { Setting } from './outputs.js'
import { ITSELF, standInOf, type StandIns } from './stand-ins.js'
import type { Job, PlannedModel, PlannedOutput, PlannedStep, Totals } from './plan.js'

const describeInput = (input: OpenedInput, layers: LayerContext): PlannedModel => {
  const { path, tensors, bytes, files, sides } = input.file
  return {
    kind: input.kind,
    name: input.name,
    label: input.path,
    path,
    architecture: inputTitle(input, layers),
    tensors: tensors.size,
    bytes,
    files: [
      ...files.map((f) => ({ path: f.path, ...f.identity })),
      ...sides.flatMap(({ path: side, found }) => (found === undefined ? [] : [{ path: side, ...found.identity }])),
    ],
    absent: sides.flatMap((side) => (side.found === undefined ? [side.path] : [])),
    isRemote: input.isRemote === true,
  }
}

/** The inputs of all settings, each file once under each of its names. */
export const describeInputs = (settings: readonly Setting[], layers: LayerContext): PlannedModel[] => {
  const all = settings.flatMap(({ inputs }) => [...inputs.values()].map((input) => describeInput(input, layers)))
  return [...new Map(all.map((m) => [`${m.name}\0${m.path}`, m] as const)).values()]
}

const countTensors = (value: Value): number => {
  switch (value.kind) {
    case 'model':
      return value.tensors.size
    case 'mask':
      return value.shapes.size
    case 'weights':
      return value.numbers.size
    case 'adapter':
      return value.file.tensors.size
    case 'report':
      return value.measured.length
  }
}

/** For each step the steps that use it, in order. */
export const usersOf = (steps: readonly Step[]): ReadonlyMap<string, readonly string[]> => {
  const users = new Map<string, string[]>()
  for (const step of steps) {
    for (const name of new Set(usesOf(step).map((u) => stepOf(u.name)))) {
      const known = users.get(name)
      if (known === undefined) users.set(name, [step.name])
      else known.push(step.name)
    }
  }
  return users
}

/**
 * A step as the plan tells it; `users` are the steps that use it. `neededBy` gives the outputs that need it for
 * something that is computed.
 */
export const describeStep = (
  step: Step,
  setting: number,
  users: readonly string[],
  recipe: Recipe,
  { values, notes }: Evaluated,
  { neededBy, nameOf }: { neededBy(step: Step): readonly string[]; nameOf(name: string): string },
): PlannedStep => {
  const value = values.get(step.name) ?? values.get(`${step.name}.1`)!
  const counts: Record<string, number> = {}
  for (const note of notes.get(step.name) ?? ([] as Note[])) counts[note.type] = (counts[note.type] ?? 0) + 1
  const outputs = [...recipe.outputs.values()]
  return {
    name: nameOf(step.name),
    step: step.name,
    setting,
    op: step.operator.id,
    kind: step.operator.output,
    space: value.kind === 'model' ? value.space : undefined,
    uses: [...new Set(usesOf(step).map((u) => nameOf(u.name)))],
    wantedBy: [...users.map(nameOf), ...outputs.filter((o) => stepOf(o.from.name) === step.name).map((o) => o.name)],
    tensors: countTensors(value),
    counts,
    neededBy: neededBy(step),
  }
}

/** What a pass reads beside whole tensors: factors of adapters, and scales. */
const drawnFrom = ({ draws }: Pass): readonly View[] =>
  draws.flatMap((draw) => {
    if (draw.type === 'spread') return draw.vector.type === 'stored' ? [wholeOf(draw.vector.from)] : []
    return draw.type === 'product' ? viewsOf(draw.product) : []
  })

/** What the work costs; the jobs may stand for others like them. */
export const totalsOf = (
  jobs: readonly Job[],
  models: readonly Model[],
  outputs: readonly PlannedOutput[],
  undigested: readonly TensorInfo[],
  cached: number,
  standIns: StandIns = ITSELF,
): Totals => {
  /** Of all jobs, those that they stand for too. */
  const sumOver = (of: (job: Job) => number): number =>
    jobs.reduce((n, job) => n + standIns.count(job.tensor) * of(job), 0)
  /** Tensors that are read whole, as most are, and of others the bytes by what is selected. */
  const [whole, partly] = [new Set<TensorInfo>(), new Map<TensorInfo, Map<string, number>>()]
  const sizeIn = (views: readonly View[]): number =>
    views.reduce((n, view) => {
      const { tensor } = view
      if (isWhole(view)) whole.add(tensor)
      else
        partly.set(tensor, (partly.get(tensor) ?? new Map<string, number>()).set(selectionText(view), viewBytes(view)))
      return n + viewBytes(view)
    }, 0)
  const untouched = (info: TensorInfo, alike: TensorInfo | undefined): number => {
    const bytes = info.end - info.begin
    if (alike === undefined) return bytes
    return whole.has(alike)
      ? 0
      : [...(partly.get(alike)?.values() ?? [])].reduce((n, some) => Math.max(0, n - some), bytes)
  }
  const copied = (job: Job): number =>
    job.copies.reduce(
      (n, c) =>
        n + (c.expect === undefined && c.from !== undefined ? sizeIn([c.from]) : bytesFor(job.size, c.to.dtype)),
      0,
    )
  const read = sumOver(
    (job) =>
      copied(job) +
      (job.sweeps?.passes ?? job.solve?.operands ?? []).reduce((m, p) => m + sizeIn([...p.reads, ...drawnFrom(p)]), 0),
  )
  /** Bytes that are not touched, by the tensor: models may have some in common. */
  const skipped = new Map<TensorInfo, number>()
  for (const model of models)
    for (const info of model.tensors.values()) skipped.set(info, untouched(info, standInOf(standIns, model, info)))
  const copies = (isReused: boolean): number =>
    sumOver((job) => job.copies.filter((c) => (c.expect !== undefined) === isReused).length)
  const written = outputs.filter((o) => o.kept === undefined)
  const inPlace = sumOver((job) =>
    job.copies.reduce((m, c) => m + (c.from === undefined ? bytesFor(job.size, c.to.dtype) : 0), 0),
  )
  return {
    tensors: outputs.reduce((n, o) => n + o.tensors.length, 0),
    copied: copies(false),
    computed: sumOver((job) => job.targets.length),
    reused: copies(true) + outputs.filter((o) => o.kept !== undefined).reduce((n, o) => n + o.tensors.length, 0),
    cached,
    readBytes: read,
    digestBytes: undigested.reduce((n, info) => n + info.end - info.begin, 0),
    writeBytes: written.reduce((n, o) => n + o.files.reduce((m, f) => m + f.bytes, 0), 0) - inPlace,
    skippedBytes: [...skipped.values()].reduce((n, bytes) => n + bytes, 0),
    operations: sumOver((job) =>
      (job.sweeps?.passes ?? []).reduce((m, p) => m + p.program.instructions.length * job.size, 0),
    ),
  }
}
