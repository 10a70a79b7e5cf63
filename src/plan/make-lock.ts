import { basename } from 'node:path'
import { canonicalJson } from '../base/canonical.js'
import { blake3, contentDigest, EMPTY_DIGEST, toDigest, type Digest } from '../base/digest.js'
import { partTexts, type Output, type Recipe, type Step } from '../recipe/recipe.js'
import type { Model } from '../safetensors/model.js'
import {
  digestBuild,
  identityOfInput,
  LOCK_VERSION,
  type Lock,
  type LockedBuild,
  type LockedInput,
  type OutputPlace,
  type LockedStep,
  type LockVersion,
} from '../store/lock.js'
import type { TensorInfo } from '../tensor/info.js'
import type { PriorState } from './prior-state.js'
import type { Draft } from './draft.js'
import type { OpenedInput, OpenedInputs } from './inputs.js'
import type { Setting } from './outputs.js'
import type { Plan, PlannedOutput, PlannedSetting, HeaderFacts } from './plan.js'
import { factsOf, fingerprintSteps } from './step-facts.js'

/** Digests of what goes in and comes out. */
export interface Contents {
  /** The version of the lock that tells of them. */
  readonly version: LockVersion
  input(tensor: TensorInfo): Digest
  /** Of an output, by its place in the plan. */
  output(output: PlannedOutput): Digest
  /** Of an input's file, where it was taken. */
  sha256(path: string): string | undefined
}

/** The content digest of a model; tensors without elements need no digest of their own. */
export const digestModel = (model: Model, digestOf: (tensor: TensorInfo) => Digest | undefined): Digest =>
  contentDigest(
    [...model.tensors.values()].map((t) => ({
      name: t.name,
      dtype: t.dtype,
      shape: t.shape,
      digest: (t.begin === t.end ? undefined : digestOf(t)) ?? EMPTY_DIGEST,
    })),
  )

const digestText = (text: string): Digest => toDigest(blake3(text))

/** The digest of a recipe's text, and of the texts of the parts that it uses, by their paths. */
const recipeDigest = ({ source, parts }: Recipe): Digest =>
  digestText(parts.size === 0 ? source.text : canonicalJson({ recipe: source.text, parts: partTexts(parts) }))

/** The digest of what the headers of an input say besides its tensors; undefined where they say nothing. */
export const digestMetadata = ({ metadata }: Pick<Model, 'metadata'>): Digest | undefined =>
  metadata.size === 0 ? undefined : digestText(JSON.stringify([...metadata].sort(([x], [y]) => (x < y ? -1 : 1))))

/** What an input says besides its tensors: in its headers, and in files beside it, as far as a lock records that. */
export const lockAside = (
  { kind, file }: Pick<OpenedInput, 'kind' | 'file'>,
  version: LockVersion,
): Pick<LockedInput, 'metadata' | 'sides'> => {
  const { sides } = file
  const metadata = digestMetadata(file)
  if (version === 1) return {}
  return {
    ...(metadata === undefined ? {} : { metadata }),
    ...(sides.length === 0 || (version === 2 && kind === 'model')
      ? {}
      : { sides: Object.fromEntries(sides.map(({ path, found }) => [basename(path), found?.digest ?? null])) }),
  }
}

const lockInput = (input: OpenedInput, contents: Contents): LockedInput => {
  const { file, sha256: pinned, origin } = input
  const sha256 = pinned?.toLowerCase() ?? contents.sha256(file.path)
  return {
    digest: digestModel(file, contents.input),
    bytes: file.bytes,
    tensors: file.tensors.size,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(origin === undefined ? {} : { hub: origin }),
    ...lockAside(input, contents.version),
  }
}

const lockInputs = (inputs: OpenedInputs, contents: Contents): Record<string, LockedInput> =>
  Object.fromEntries([...inputs.values()].map((input) => [input.path, lockInput(input, contents)]))

const pathsOf = (inputs: OpenedInputs): Record<string, string> =>
  Object.fromEntries([...inputs].map(([name, { path }]) => [name, path]))

/**
 * What the lock says of one setting's steps, given its inputs; `device` is one whose numbers are not those of others.
 */
export const lockSteps = (
  recipe: Recipe,
  steps: readonly Step[],
  input: (name: string) => LockedInput,
  device?: string,
): Readonly<Record<string, LockedStep>> => {
  const fingerprints = fingerprintSteps(recipe, steps, (name) => identityOfInput(input(name)))
  return Object.fromEntries(
    steps.map((step) => [
      step.name,
      {
        ...factsOf(recipe, step),
        fingerprint: fingerprints.get(step.name)!,
        ...(device === undefined ? (step.operator.exact ? {} : { device: 'cpu' }) : { device }),
      },
    ]),
  )
}

const computedOf = ({ computed }: Recipe): Pick<LockedBuild, 'computed'> =>
  Object.keys(computed).length === 0 ? {} : { computed }
/** What of an output decides how its tensors are written, and where. */
export const lockPlace = ({ path, dtype, dtypeRules, shardBytes }: Output): OutputPlace => ({
  path,
  ...(dtypeRules.length > 0
    ? { dtype: [dtype, ...dtypeRules.map((r) => [r.pattern.text, r.dtype] as const)] }
    : dtype === 'same'
      ? {}
      : { dtype }),
  ...(shardBytes === undefined ? {} : { shard_size: shardBytes }),
})

const lockBuild = (
  { recipe, steps, inputs }: Omit<PlannedSetting, 'label'>,
  locked: Record<string, LockedInput>,
  outputs: readonly PlannedOutput[],
  contents: Contents,
  device?: string,
): LockedBuild => {
  const build = {
    params: recipe.params,
    ...computedOf(recipe),
    inputs: pathsOf(inputs),
    steps: lockSteps(recipe, steps, (name) => locked[inputs.get(name)!.path]!, device),
    outputs: Object.fromEntries(
      outputs.map((o) => [
        o.name,
        {
          ...(contents.version === 1 ? { path: o.label } : lockPlace(recipe.outputs.get(o.name)!)),
          from: o.from,
          digest: contents.output(o),
          bytes: o.files.reduce((n, f) => n + f.bytes, 0),
          tensors: o.tensors.length,
          ...(o.sides.length === 0
            ? {}
            : {
                sides: Object.fromEntries(o.sides.map(({ path, bytes }) => [basename(path), toDigest(blake3(bytes))])),
              }),
        },
      ]),
    ),
  }
  return { ...build, digest: digestBuild(recipeDigest(recipe), build, locked) }
}

/**
 * The lock of a plan that was carried out by version `smelt` of the program, on a `device` that is named where its
 * numbers are not those of others.
 */
export const makeLock = (plan: Plan, contents: Contents, smelt: string, device?: string): Lock => {
  const inputs: Record<string, LockedInput> = Object.assign(
    {},
    ...plan.settings.map((s) => lockInputs(s.inputs, contents)),
  )
  return {
    lock: contents.version,
    smelt,
    recipe: recipeDigest(plan.settings[0]!.recipe),
    inputs,
    builds: plan.settings.map((setting, i) =>
      lockBuild(
        setting,
        inputs,
        plan.outputs.filter((o) => o.setting === i),
        contents,
        device,
      ),
    ),
  }
}

/**
 * What the headers of a setting's outputs would say if the outputs have these digests; undefined while something of the
 * inputs is not known.
 */
export const headerFactsBefore = (
  { recipe, inputs }: Setting,
  steps: readonly Step[],
  outputs: readonly PlannedOutput[],
  known: PriorState,
  outputDigest: (output: PlannedOutput) => Digest,
): HeaderFacts | undefined => {
  if ([...inputs.values()].some(({ file }) => [...file.tensors.values()].some((t) => known.digestOf(t) === undefined)))
    return undefined
  const contents: Contents = {
    version: known.lock,
    input: (t) => known.digestOf(t)!,
    output: outputDigest,
    sha256: () => undefined,
  }
  const locked = lockInputs(inputs, contents)
  return headerFactsOf(lockBuild({ recipe, steps, inputs }, locked, outputs, contents), locked)
}

/** What the headers of a build's outputs say. */
export const headerFactsOf = (build: LockedBuild, inputs: Lock['inputs']): HeaderFacts => ({
  lock: build.digest,
  input: (name) => inputs[build.inputs[name]!]!.digest,
})

/**
 * The lock that a draft would have as far as that is known before it is built: what is not known, such as the outputs,
 * is as in the lock before.
 */
export const lockDraft = (
  draft: Pick<Draft, 'evaluations'>,
  known: Pick<PriorState, 'digestOf'>,
  before: Lock | undefined,
  device?: string,
): Lock => {
  const version = before?.lock ?? LOCK_VERSION
  const settings = draft.evaluations.map(({ setting, steps }) => ({
    recipe: setting.recipe,
    steps,
    inputs: setting.inputs,
  }))
  const inputs: Record<string, LockedInput> = {}
  for (const setting of settings) {
    for (const input of setting.inputs.values()) {
      const { path, file } = input
      const complete = [...file.tensors.values()].every((t) => t.begin === t.end || known.digestOf(t) !== undefined)
      const old = before?.inputs[path]
      const locked = lockInput(input, {
        version,
        input: (t) => known.digestOf(t) ?? EMPTY_DIGEST,
        output: () => EMPTY_DIGEST,
        sha256: () => old?.sha256,
      })
      // Headers and side files have been read, whatever is known of tensors.
      inputs[path] = complete || old === undefined ? locked : { ...locked, digest: old.digest }
    }
  }
  const builds = settings.map((setting, i): LockedBuild => {
    const { recipe, steps } = setting
    const old = before?.builds[i]
    const names = new Set([...recipe.outputs.keys()])
    return {
      digest: old?.digest ?? EMPTY_DIGEST,
      params: recipe.params,
      ...computedOf(recipe),
      inputs: pathsOf(setting.inputs),
      steps: lockSteps(recipe, steps, (name) => inputs[setting.inputs.get(name)!.path]!, device),
      outputs: Object.fromEntries(Object.entries(old?.outputs ?? {}).filter(([name]) => names.has(name))),
    }
  })
  return {
    lock: version,
    smelt: before?.smelt ?? '',
    recipe: recipeDigest(settings[0]!.recipe),
    inputs,
    builds,
  }
}
