import { vaeRoot } from '../../base/catalogue/import-comfyui.js'
import { greatest } from '../../base/lists.js'
import type { DraftBuilder } from '../draft.js'
import type { Field } from '../importer.js'
import { task, type Task } from './task.js'

/** The parts of a checkpoint, which travel separately through a workflow. */
export type LaneName = 'model' | 'clip' | 'vae'

/** What a loader reads: a whole checkpoint, or a part in a file of its own. */
export interface LaneSource {
  readonly type: 'source'
  readonly lane: LaneName
  /** Sources of one file have one id. */
  readonly id: string
  readonly file: Task
  readonly bare: boolean
  readonly delta: false
}

/** What a node makes of a part: a step of the recipe. */
export interface LaneStep {
  readonly type: 'step'
  readonly lane: LaneName
  readonly id: string
  /** Grows from what is made first to what is made last. */
  readonly order: number
  readonly title: string
  readonly op: string
  /** The operand that gives the result its tensors, and all its other parts. */
  readonly first: Lane
  /** The operands after it, of which only this part is used. */
  readonly others: readonly Lane[]
  /** Masks and weights. */
  readonly more: readonly Task[]
  /** The keys of the step, from the names of `first`, `others` and `more`; `layers` limits it to its part. */
  readonly fields: (names: readonly string[], layers: readonly Field[]) => readonly Field[]
  /** The layers that are the part, where the file may hold others. */
  readonly layers: string | undefined
  readonly comment: string | undefined
  /** Equal in two steps on the model and the text encoder that one step of a recipe can do. */
  readonly pair: { readonly key: string; readonly fields: LaneStep['fields'] } | undefined
  readonly delta: boolean
}

/** A part of a checkpoint somewhere in a workflow. */
export type Lane = LaneSource | LaneStep

/** A checkpoint of which some parts matter. */
export type State = Partial<Readonly<Record<LaneName, Lane>>>

/** The layers of each part. */
export const COMPONENTS = { model: 'component:diffusion', clip: 'component:clip', vae: 'component:vae' } as const

/** Where a part in a file of its own belongs in a checkpoint. */
const ROOTS: Readonly<Record<LaneName, string>> = { model: 'model.diffusion_model', clip: '', vae: 'first_stage_model' }

const LANES = ['model', 'clip', 'vae'] as const

const lanesOf = (state: State): readonly Lane[] => LANES.flatMap((lane) => state[lane] ?? [])

/** The source that a lane's tensors and other parts come from. */
export const rootOf = (lane: Lane): LaneSource => {
  let at = lane
  while (at.type === 'step') at = at.first
  return at
}

/** Finds the tasks that make states of a checkpoint. */
export interface Lanes {
  /** The task whose result has these parts; its other parts do not matter. */
  make(state: State): Task
  /** The task whose result is this part and nothing else. */
  alone(lane: Lane): Task
}

/** The step that a state is made by last, and the state before it; nothing for sources. */
interface Last {
  readonly step: LaneStep
  /** Where one step makes two parts. */
  readonly both: { readonly model: LaneStep; readonly clip: LaneStep } | undefined
  readonly before: State
}

const orderOf = (lane: Lane): number => (lane.type === 'step' ? lane.order : -1)

const latestIn = (state: State): number => greatest(lanesOf(state).map(orderOf), -1)

const lastOf = (state: State): Last | undefined => {
  const latest = latestIn(state)
  const step = lanesOf(state).find((lane) => lane.type === 'step' && lane.order === latest)
  if (step?.type !== 'step') return undefined
  const { model, clip } = state
  const both =
    model?.type === 'step' && clip?.type === 'step' && model.pair !== undefined && model.pair.key === clip.pair?.key
      ? { model, clip }
      : undefined
  const before =
    both === undefined
      ? { ...state, [step.lane]: step.first }
      : { ...state, model: both.model.first, clip: both.clip.first }
  return { step, both, before }
}

const keyOf = (state: State): string => LANES.map((lane) => state[lane]?.id ?? '').join('|')

/** Composes the parts of checkpoints as a person would: one step after another on a whole checkpoint. */
export const createLanes = (draft: DraftBuilder): Lanes => {
  const made = new Map<string, Task>()
  const picked = new Map<string, Task>()
  /** States by the part that is made last. */
  const having = new Map<string, State[]>()

  /**
   * A state that is made anyway and has these parts. What else it has must not be made later than they are: so no state
   * can need itself.
   */
  const within = (state: State): State | undefined => {
    const wanted = lanesOf(state)
    const latest = latestIn(state)
    if (latest === -1) return undefined
    return having
      .get(wanted.find((lane) => orderOf(lane) === latest)!.id)
      ?.find((s) => wanted.every((lane) => s[lane.lane]?.id === lane.id))
  }

  const make = (wanted: State): Task => {
    const found = made.get(keyOf(within(wanted) ?? wanted))
    if (found !== undefined) return found
    // All states on the way are made at once, so that others find them.
    let state: State | undefined = wanted
    while (state !== undefined && !made.has(keyOf(state))) {
      const last: Last | undefined = lastOf(state)
      made.set(keyOf(state), last === undefined ? fromSources(state) : stepOn(state, last))
      const latest = latestIn(state)
      for (const lane of latest === -1 ? [] : lanesOf(state))
        if (orderOf(lane) === latest) having.set(lane.id, [...(having.get(lane.id) ?? []), state])
      state = last?.before
    }
    return made.get(keyOf(wanted))!
  }

  const stepOn = (state: State, { step, both, before }: Last): Task => {
    const onFile = lanesOf(state).length === 1 && rootOf(step).bare
    const layers: readonly Field[] =
      both !== undefined
        ? [['layers', [COMPONENTS.model, COMPONENTS.clip]]]
        : onFile || step.layers === undefined
          ? []
          : [['layers', step.layers]]
    return {
      needs: () =>
        both === undefined
          ? [make(before), ...step.others.map((lane) => make({ [step.lane]: lane })), ...step.more]
          : [
              make(before),
              ...both.model.others.map((lane, i) => make({ model: lane, clip: both.clip.others[i]! })),
              ...both.model.more,
            ],
      write: (names) =>
        draft.step(
          (both?.model ?? step).title,
          step.op,
          (both?.model.pair ?? step).fields(names, layers),
          both?.model.comment ?? step.comment,
        ),
    }
  }

  const fromSources = (state: State): Task => {
    const lanes = lanesOf(state) as readonly LaneSource[]
    const files = new Map(lanes.map((lane) => [lane.id, lanes.filter((l) => l.id === lane.id)]))
    if (files.size === 1) return lanes[0]!.file
    const parts = [...files.values()]
    const checkpoint = lanes.find((lane) => !lane.bare)
    return {
      needs: () => parts.map((part) => placed(part, checkpoint)),
      write: (names) => draft.step('assembled', 'model.combine', [['models', names]]),
    }
  }

  /** Where a VAE belongs beside the other parts of a checkpoint. */
  const rootOfVae = (checkpoint: LaneSource | undefined): Field => {
    const names = checkpoint === undefined ? undefined : draft.facts(checkpoint.file.write([]))?.tensors
    const root = names?.find((name) => /^(first_stage_model|vae)\./.test(name))?.replace(/\..*$/, '')
    return root === undefined ? ['add_root', ROOTS.vae, vaeRoot] : ['add_root', root]
  }

  /** Some parts of a file, under the names that a checkpoint has for them. */
  const placed = (part: readonly LaneSource[], checkpoint: LaneSource | undefined): Task => {
    const { file, lane, bare, id } = part[0]!
    const key = `${id}|${part.map((p) => p.lane).join()}|${bare ? (checkpoint?.id ?? '') : ''}`
    const known = picked.get(key)
    if (known !== undefined) return known
    const components = part.map((p) => COMPONENTS[p.lane])
    const found = task(
      ([name]) =>
        bare
          ? draft.step(`${name}_placed`, 'model.rename', [
              ['model', name!],
              ...(lane === 'model' ? [['rules', [{ match: ROOTS.model, to: '', optional: true }]] as const] : []),
              lane === 'vae' ? rootOfVae(checkpoint) : ['add_root', ROOTS[lane]],
            ])
          : draft.step(
              `${name}_${part.map((p) => (p.lane === 'model' ? 'diffusion' : p.lane)).join('_')}`,
              'model.select',
              [
                ['model', name!],
                ['layers', components.length === 1 ? components[0]! : components],
              ],
            ),
      [file],
    )
    picked.set(key, found)
    return found
  }

  const alone = (lane: Lane): Task => {
    const whole = make({ [lane.lane]: lane })
    const inside = within({ [lane.lane]: lane })
    if (rootOf(lane).bare && (inside === undefined || lanesOf(inside).length === 1)) return whole
    const key = `${lane.id}|alone`
    const known = picked.get(key)
    if (known !== undefined) return known
    const found = task(
      ([name]) => {
        const part = draft.step(`${name}_${lane.lane === 'model' ? 'diffusion' : lane.lane}`, 'model.select', [
          ['model', name!],
          ['layers', COMPONENTS[lane.lane]],
        ])
        if (lane.lane !== 'vae') return part
        // Files of a VAE have its names without the root that they have in a checkpoint.
        const rules = ['first_stage_model', 'vae'].map((match) => ({ match, to: '', optional: true }))
        return draft.step(`${part}_file`, 'model.rename', [
          ['model', part],
          ['rules', rules],
        ])
      },
      [whole],
    )
    picked.set(key, found)
    return found
  }

  return { make, alone }
}
