import * as say from '../base/catalogue/moe.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Tensor } from '../graph/expression.js'
import { promptGates } from '../kernels/solvers/prompt-gates.js'
import { DTYPES } from '../tensor/dtype.js'
import { isWhole, sliceOf } from '../tensor/view.js'
import { modelsOf, streamOf, valueOf } from './call-arguments.js'
import type { Argument, Call } from './operator.js'
import { sameShape } from './shape.js'
import type { ModelValue, Reference } from './value.js'

/** A router that a mixture needs: of each layer one for its experts, and in some layouts one for the shared expert. */
export interface Router {
  readonly name: string
  readonly shape: readonly [rows: number, hidden: number]
  readonly isShared: boolean
}

/** Makes the router of a name. */
export type MakeRouter = (router: Router) => Tensor

/** How routers are made. */
export const GATES = {
  random: 'random numbers of a standard normal distribution',
  uniform_random: 'random numbers, evenly distributed between ±1/√hidden, as an untrained layer of PyTorch has',
  cheap_embed: 'the direction of the embeddings of the prompts’ tokens, equal for all layers',
} as const

/** The prompts of one expert, as tokens. */
interface Prompts {
  readonly positive: readonly number[]
  readonly negative: readonly number[]
}

type Arguments = Readonly<Record<string, Argument>>

const EMBEDDINGS = 'model.embed_tokens.weight'

/** The tokens of all prompts of a parameter, one after the other. */
const tokensOf = (base: Reference<ModelValue>, argument: Argument | undefined): Result<readonly number[]> => {
  const prompts = argument?.type === 'value' ? (argument.value as readonly (string | readonly number[])[]) : []
  const rows = base.value.tensors.get(EMBEDDINGS)!.shape[0]!
  const tokens: number[] = []
  for (const prompt of prompts) {
    // Texts of a recipe are tokens by now, unless it is planned without the folders of its models.
    if (typeof prompt === 'string') return failed(say.noTokenizer(argument!.at, base.value.label))
    const beyond = prompt.find((token) => token >= rows)
    if (beyond !== undefined) return failed(say.tokenBeyond(argument!.at, beyond, rows, base.value.label))
    append(tokens, prompt)
  }
  return ok(tokens)
}

/** What share each token has: lists with the same shares have the same direction. */
const sharesOf = (tokens: readonly number[]): string => {
  const counts = new Map<number, number>()
  for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1)
  return JSON.stringify([...counts].map(([token, count]) => [token, count / tokens.length]).sort(([a], [b]) => a! - b!))
}

const promptsOf = (
  base: Reference<ModelValue>,
  args: Arguments,
  [positive, negative]: readonly [string, string],
  at: Place,
): Result<Prompts> => {
  if (args[positive] === undefined) return failed(say.promptsMissing(at, positive))
  const [towards, away] = [positive, negative].map((key) => tokensOf(base, args[key]))
  if (towards!.type === 'failed') return towards!
  if (away!.type === 'failed') return away!
  if (sharesOf(towards!.value) === sharesOf(away!.value)) return failed(say.promptsCancel(at, [positive, negative]))
  return ok({ positive: towards!.value, negative: away!.value })
}

const KEYS = ['positive', 'negative'] as const
const SHARED_KEYS = ['shared_positive', 'shared_negative'] as const

/** Rows of the embeddings, by themselves where they are read from a file; otherwise all are computed. */
const embeddedRows = (call: Call, base: ModelValue, tokens: readonly number[]) => {
  const { shape } = base.tensors.get(EMBEDDINGS)!
  const x = base.tensor(EMBEDDINGS)
  const hidden = shape[1]!
  if (x.type !== 'read' || !isWhole(x.view) || x.view.tensor.packed === true || DTYPES[x.view.tensor.dtype].bits < 8)
    return { operands: [{ x, shape }], rowOf: (token: number) => token }
  const distinct = [...new Set(tokens)].sort((a, b) => a - b)
  const rows = new Map(distinct.map((token, i) => [token, i]))
  return {
    operands: distinct.map((token) => ({ x: call.graph.read(sliceOf(x.view, 0, token, 1)), shape: [1, hidden] })),
    rowOf: (token: number) => rows.get(token)!,
  }
}

/** Routers from prompts, by the embeddings of the base. */
const fromEmbeddings = (call: Call, base: Reference<ModelValue>, routers: readonly Router[]): Result<MakeRouter> => {
  if (!base.value.tensors.has(EMBEDDINGS)) return failed(say.noDenseLayers(base.at, base.value.label, EMBEDDINGS))
  const experts = modelsOf(call, 'experts')
  const read = call.each.map((args, i) => promptsOf(base, args, KEYS, experts[i]!.at))
  if (routers.some((r) => r.isShared)) read.push(promptsOf(base, call.params, SHARED_KEYS, call.at('shared')))
  const problems = read.flatMap((r): readonly Diagnostic[] => (r.type === 'failed' ? r.diagnostics : []))
  if (problems.length > 0) return failed(...problems)
  const prompts = read.flatMap((r) => (r.type === 'ok' ? [r.value] : []))
  const own = prompts.slice(0, experts.length)
  if (new Set(own.map((p) => JSON.stringify(p))).size === 1) return failed(say.promptsAlike(call.at('experts')))
  const { operands, rowOf } = embeddedRows(
    call,
    base.value,
    prompts.flatMap((p) => [...p.positive, ...p.negative]),
  )
  const settingsOf = (some: readonly Prompts[]): readonly number[] =>
    some.flatMap((p) => [p.positive, p.negative].flatMap((tokens) => [tokens.length, ...tokens.map(rowOf)]))
  return ok(({ shape, isShared }) =>
    call.graph.solve(promptGates, operands, settingsOf(isShared ? prompts.slice(experts.length) : own), shape),
  )
}

/** Routers from a file that has them under the names of the result. */
const fromFile = (file: Reference<ModelValue>, routers: readonly Router[]): Result<MakeRouter> => {
  const wrong = routers.flatMap(({ name, shape }) => {
    const found = file.value.tensors.get(name)?.shape
    return found !== undefined && sameShape(found, shape)
      ? []
      : [say.routerDiffers(file.at, name, file.value.label, shape, found)]
  })
  return wrong.length > 0 ? failed(wrong[0]!) : ok(({ name }) => file.value.tensor(name))
}

/** Prompts that are there although no router is made of them. */
const unusedPrompts = (call: Call, gates: string): readonly Diagnostic[] => {
  const all = [call.params, ...call.each].flatMap((args) =>
    [...KEYS, ...SHARED_KEYS].flatMap((key) => (args[key] === undefined ? [] : [[key, args[key].at] as const])),
  )
  return all.slice(0, 1).map(([key, at]) => say.promptsUnused(at, key, gates))
}

/** Finds out how the routers of a mixture are made, and whether they can be. */
export const routerMaker = (
  call: Call,
  base: Reference<ModelValue>,
  routers: readonly Router[],
): Result<MakeRouter> => {
  const [file] = modelsOf(call, 'routers')
  if (file !== undefined) {
    if (call.params['gates'] !== undefined) return failed(say.gatesTwice(call.params['gates'].at))
    // Prompts beside a file of routers say what it was made of.
    return fromFile(file, routers)
  }
  const gates = (valueOf(call, 'gates') ?? 'random') as keyof typeof GATES
  if (gates === 'cheap_embed') return fromEmbeddings(call, base, routers)
  const { graph: g } = call
  const draw: MakeRouter =
    gates === 'random'
      ? ({ name }) => g.normal(streamOf(call, name, 0))
      : ({ name, shape }) => g.mul(g.sub(g.uniform(streamOf(call, name, 0)), 0.5), 2 / Math.sqrt(shape[1]))
  return ok(draw, unusedPrompts(call, `\`gates: ${gates}\``))
}
