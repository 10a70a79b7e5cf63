import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { Diagnostic } from '#src/base/diagnostic.js'
import { renderDiagnostics } from '#src/base/screen.js'
import type { Result } from '#src/base/result.js'
import { withFile, type OpenedInputs } from '#src/plan/inputs.js'
import { makePlan } from '#src/plan/make-plan.js'
import type { Job, Plan } from '#src/plan/plan.js'
import { parse } from '#src/recipe/parse.js'
import type { Recipe } from '#src/recipe/recipe.js'
import type { Model } from '#src/safetensors/model.js'
import { layoutFile } from '#src/safetensors/layout.js'
import type { Dtype } from '#src/tensor/dtype.js'
import { sizeOf } from '#src/tensor/info.js'

/** Tensors of a model that exists only on paper. */
export type Outline = Readonly<Record<string, readonly [Dtype, readonly number[]]>>

/** A model as its header would tell it, at `/models/<name>.safetensors`. */
export const modelOf = (name: string, outline: Outline): Model => {
  const path = `/models/${name}.safetensors`
  const tensors = Object.entries(outline).map(([tensor, [dtype, shape]]) => ({ name: tensor, dtype, shape }))
  const { header, offsets, bytes } = layoutFile(tensors, {})
  const infos = new Map(tensors.map((t) => [t.name, { ...t, file: path, ...offsets.get(t.name)! }]))
  const identity = { size: bytes, mtimeNs: 0n, ctimeNs: 0n, ino: 0n, dev: 0n }
  const file = {
    path,
    headerBytes: header.length,
    bytes: bytes - header.length,
    identity,
    tensors: infos,
    metadata: new Map<string, string>(),
  }
  return { path, files: [file], tensors: infos, metadata: new Map(), bytes: bytes - header.length, sides: [] }
}

/** A recipe as plain data; its models are those on paper. */
export interface Paper {
  readonly models: Readonly<Record<string, Outline | Model>>
  readonly steps?: Readonly<Record<string, unknown>>
  readonly outputs: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** The inputs of a recipe that has no other files than these. */
export const inputsOf = ({ inputs }: Recipe, opened: ReadonlyMap<string, Model>): OpenedInputs =>
  new Map([...inputs].map(([name, input]) => [name, withFile(input, opened.get(name)!)]))

/** Plans a recipe in `/recipes/recipe.yaml` over models on paper. */
export const tryPlan = ({ models, steps = {}, outputs }: Paper, out?: string): Result<Plan> => {
  const opened = new Map(
    Object.entries(models).map(([name, m]): [string, Model] => [
      name,
      'tensors' in m && m.tensors instanceof Map ? (m as Model) : modelOf(name, m as Outline),
    ]),
  )
  const recipe = parse({
    path: 'recipe.yaml',
    text: JSON.stringify(
      { smelt: 1, models: Object.fromEntries([...opened].map(([name, m]) => [name, m.path])), steps, outputs },
      undefined,
      1,
    ),
  })
  return recipe.type === 'failed'
    ? recipe
    : makePlan(recipe.value, inputsOf(recipe.value, opened), { recipe: '/recipes', out })
}

/** The plan of a sound recipe; throws its problems otherwise. */
export const planOf = (paper: Paper, out?: string): Plan => {
  const plan = tryPlan(paper, out)
  if (plan.type === 'failed') throw new Error(renderDiagnostics(plan.diagnostics, { color: false }))
  return plan.value
}

/** `severity code` of every problem, and the text underlined where there is one. */
export const told = (diagnostics: readonly Diagnostic[]): readonly string[] =>
  diagnostics.map(
    ({ severity, code, at }) =>
      `${severity} ${code}${at?.type === 'text' ? ` ${at.range.source.text.slice(at.range.start, at.range.end)}` : ''}`,
  )

/** What a recipe is told. */
export const problemsOf = (paper: Paper): readonly string[] => told(tryPlan(paper).diagnostics)

/** Names of the tensors a job reads, one list for each sweep. */
export const readsOf = (job: Job): readonly (readonly string[])[] =>
  (job.sweeps?.passes ?? []).map((pass) =>
    pass.reads.map(({ tensor }) => `${tensor.file.replace(/^.*\/|\.safetensors$/g, '')}:${tensor.name}`),
  )

/** Names and shapes of a real checkpoint, all of one dtype. */
export const outlineOf = (table: string, dtype: Dtype = 'F16'): Outline => {
  const text = gunzipSync(readFileSync(new URL(`../data/arch/${table}.json.gz`, import.meta.url))).toString()
  return Object.fromEntries(
    Object.entries(JSON.parse(text) as Record<string, [string, number[]]>).map(([name, [own, shape]]) => [
      name,
      [own.startsWith('F') || own === 'BF16' ? dtype : (own as Dtype), shape] as const,
    ]),
  )
}

/** Elements of all tensors of an outline. */
export const elementsOf = (outline: Outline): number =>
  Object.values(outline).reduce((n, [, shape]) => n + sizeOf(shape), 0)
