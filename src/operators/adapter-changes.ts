import { matchAdapter, type AdapterMatch } from '../architectures/adapters/match.js'
import type { Patch } from '../architectures/adapters/patch.js'
import { groupBy } from '../base/lists.js'
import { ok, type Result } from '../base/result.js'
import { sizeOf } from '../tensor/info.js'
import { apply } from './adapter/apply.js'
import { adapterOf } from './call-arguments.js'
import type { Call } from './operator.js'
import { count, figure, plainLabel, type Fact, type Section } from './report-document.js'
import { blockMap, blockOf, layOut, shapeText, type Layout } from './report-layout.js'
import type { Figures, Measured, ModelValue } from './value.js'
import { widenModel } from './widen-model.js'

/** A tensor that an adapter would change. */
type Touched = {
  readonly name: string
  readonly shape: string
  /** Of its factors, where it has some: several where parts of it have factors of their own. */
  readonly rank: string | null
  readonly scale: string | null
}

/** What an adapter would change in a model, as plain data. */
export type Changes = {
  readonly model: string
  readonly touched: readonly Touched[]
  /** Tensors of the model, and whether each is changed. */
  readonly all: readonly { readonly name: string; readonly touched: boolean }[]
  readonly unmatched: readonly string[]
  readonly layout: Layout
  /** Whether the figures have the norms of the tensors that are changed. */
  readonly measured: boolean
}

/** What an adapter would change, found from headers, and what is to be measured of it. */
export interface Looked {
  readonly measured: readonly Measured[]
  changes(): Changes
}

/** Different numbers in the order in which they come. */
const listOf = (numbers: readonly number[]): string | null =>
  numbers.length === 0 ? null : [...new Set(numbers.map((n) => Number(n.toPrecision(6))))].join(', ')

const ranksOf = (patches: readonly Patch[]): string | null => listOf(patches.flatMap(({ rank }) => rank ?? []))

/** The squares of the norms of a weight and of its change at strength 1, which is what applying the adapter comes to. */
const measure = (call: Call, model: ModelValue, { patches, widened }: AdapterMatch): Result<readonly Measured[]> => {
  const { graph: g } = call
  const { at } = adapterOf(call, 'adapter')
  const applied = apply.evaluate({
    ...call,
    params: { unmatched: { type: 'value', value: 'ignore', at } },
    note: () => undefined,
  })
  if (applied.type === 'failed') return applied
  const [before, after] = [widenModel(g, model, widened), applied.value[0] as ModelValue]
  return ok(
    [...patches.keys()].map((tensor) => {
      const [x, y] = [before.tensor(tensor), after.tensor(tensor)]
      const d = g.sub(y, x)
      return { tensor, size: sizeOf(before.tensors.get(tensor)!.shape), scalars: { xx: g.dot(x, x), dd: g.dot(d, d) } }
    }),
  )
}

/** Finds what the adapter of a report would change in a model; what is wrong with it for that model is told. */
export const lookAtChanges = (call: Call, model: ModelValue, norms: boolean): Result<Looked> => {
  const { value, at } = adapterOf(call, 'adapter')
  const architecture = call.architecture(model.tensors)
  const match = matchAdapter(
    { label: value.label, file: value.file, alpha: value.alpha, at },
    { label: model.label, tensors: model.tensors, architecture, origins: model.origins?.numbers },
    false,
  )
  if (match.type === 'failed') return match
  const { patches, unmatched } = match.value
  const measured = norms ? measure(call, model, match.value) : ok([])
  if (measured.type === 'failed') return measured
  return ok(
    {
      measured: measured.value,
      changes: () => ({
        model: plainLabel(model.label),
        touched: [...patches].map(([name, own]) => ({
          name,
          shape: shapeText(model.tensors.get(name)!.shape),
          rank: ranksOf(own),
          scale: listOf(own.flatMap(({ change }) => ('scale' in change ? change.scale : []))),
        })),
        all: [...model.tensors.keys()].map((name) => ({ name, touched: patches.has(name) })),
        unmatched,
        layout: layOut(model.tensors.keys(), architecture),
        measured: norms,
      }),
    },
    match.diagnostics,
  )
}

interface Norms {
  readonly xx: number
  readonly dd: number
}

/** ‖ΔW‖/‖W‖ over some tensors; null where there is no weight to compare with. */
const ratioOf = (all: readonly Norms[]): number | null => {
  const [xx, dd] = [all.reduce((n, t) => n + t.xx, 0), all.reduce((n, t) => n + t.dd, 0)]
  return xx === 0 ? null : Math.sqrt(dd / xx)
}

/** The facts and the parts of a report that show what an adapter would change. */
export const drawChanges = (
  { model, touched, all, unmatched, layout, measured }: Changes,
  figures: readonly Figures[],
): { readonly facts: readonly Fact[]; readonly sections: readonly Section[] } => {
  const layers = touched.map((t, i) => {
    const { xx = 0, dd = 0 } = figures[i]?.scalars ?? {}
    return { ...t, xx, dd }
  })
  const whole = ratioOf(layers)
  const byBlock = groupBy(layers, ({ name }) => blockOf(layout, name))
  const change = measured ? [{ label: 'change', format: 'number' } as const] : []
  const changeOf = (some: readonly Norms[]): readonly (number | null)[] => (measured ? [ratioOf(some)] : [])
  return {
    facts: [
      count('tensors it would change', touched.length),
      count('tensors without a target', unmatched.length),
      ...(measured && whole !== null ? [figure('change beside the weights', whole)] : []),
    ],
    sections: [
      blockMap(
        `Share of the tensors of ${model} that it would change`,
        all,
        layout,
        (cell) => cell.filter((l) => l.touched).length / cell.length,
        { format: 'share', low: 0, high: 1 },
      ),
      ...(measured
        ? [
            blockMap('How large the change is beside the weight', layers, layout, ratioOf, {
              format: 'number',
              low: 0,
            }),
            {
              type: 'table' as const,
              title: 'Blocks that it would change',
              columns: [
                { label: 'block', format: 'text' as const },
                { label: 'tensors', format: 'count' as const },
                ...change,
              ],
              rows: layout.blocks.flatMap((block) => {
                const own = byBlock.get(block)
                return own === undefined ? [] : [{ cells: [block, own.length, ...changeOf(own)] }]
              }),
            },
          ]
        : []),
      {
        type: 'table',
        title: 'What it would change',
        columns: [
          { label: 'tensor', format: 'text' },
          { label: 'shape', format: 'text' },
          { label: 'rank', format: 'text' },
          { label: 'scale', format: 'text' },
          ...change,
        ],
        rows: layers.map((l) => ({
          group: blockOf(layout, l.name),
          cells: [l.name, l.shape, l.rank, l.scale, ...changeOf([l])],
        })),
      },
      ...(unmatched.length === 0
        ? []
        : [
            {
              type: 'table' as const,
              title: 'Tensors without a target',
              columns: [{ label: 'tensor', format: 'text' as const }],
              rows: unmatched.map((name) => ({ cells: [name] })),
            },
          ]),
    ],
  }
}
