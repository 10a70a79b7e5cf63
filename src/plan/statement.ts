import type { Digest } from '../base/digest.js'

/** A file with the digests that are known of it, named without folder. */
export interface StatedFile {
  readonly name: string
  /** Of the whole file, 64 hex digits; undefined where nobody asked for it. */
  readonly sha256: string | undefined
}

/** An output: its files, and the digest of what they hold together. */
export interface StatedOutput {
  /** Its path as the recipe writes it. */
  readonly label: string
  readonly files: readonly StatedFile[]
  readonly digest: Digest
}

/** What an attestation of a build is made from. */
export interface Build {
  /** Version of smelt. */
  readonly version: string
  readonly recipe: StatedFile & { readonly sha256: string }
  /** Params given from outside, as `--set` has them. */
  readonly overrides: Readonly<Record<string, string>>
  /** Settings given from outside, as `--set-file` has them. */
  readonly rows?: readonly Readonly<Record<string, string>>[]
  /** What the program decided by itself, such as the device; nothing that differs between equal builds need be here. */
  readonly internal: Readonly<Record<string, string | number | boolean>>
  readonly inputs: readonly { readonly label: string; readonly sha256: string | undefined; readonly digest: Digest }[]
  readonly outputs: readonly StatedOutput[]
  readonly lock: StatedFile & { readonly sha256: string }
  /** Only where they are wanted: with them, equal builds have different statements. */
  readonly run?: { readonly id: string; readonly startedOn: string; readonly finishedOn: string }
}

/**
 * Digests by algorithm, in lower-case hex. `smeltContentBlake3` is over names, dtypes, shapes and tensors, not over the
 * file's bytes.
 */
export type DigestSet = Readonly<Partial<Record<'sha256' | 'smeltContentBlake3', string>>>

/** A ResourceDescriptor of in-toto, as far as it is used here. */
export interface Resource {
  readonly name: string
  readonly digest: DigestSet
}

/** An in-toto Statement v1 with SLSA provenance v1. */
export interface Statement {
  readonly _type: 'https://in-toto.io/Statement/v1'
  readonly subject: readonly Resource[]
  readonly predicateType: 'https://slsa.dev/provenance/v1'
  readonly predicate: {
    readonly buildDefinition: {
      readonly buildType: string
      readonly externalParameters: {
        readonly recipe: Resource
        readonly overrides: Readonly<Record<string, string>>
        readonly rows?: readonly Readonly<Record<string, string>>[]
      }
      readonly internalParameters: Readonly<Record<string, string | number | boolean>>
      readonly resolvedDependencies: readonly Resource[]
    }
    readonly runDetails: {
      readonly builder: { readonly id: string; readonly version: Readonly<Record<string, string>> }
      readonly metadata?: { readonly invocationId: string; readonly startedOn: string; readonly finishedOn: string }
      readonly byproducts: readonly Resource[]
    }
  }
}

const contentOf = (digest: Digest): DigestSet => ({ smeltContentBlake3: digest.replace(/^blake3:/, '') })
const sha256Of = (sha256: string | undefined): DigestSet =>
  sha256 === undefined ? {} : { sha256: sha256.toLowerCase() }
const resource = ({ name, sha256 }: StatedFile): Resource => ({ name, digest: sha256Of(sha256) })

/**
 * One file bears both digests; of several each bears its own, and the output's path bears the digest of what they hold
 * together.
 */
const subjectsOf = ({ label, files, digest }: StatedOutput): readonly Resource[] => {
  const [only, ...others] = files
  if (only !== undefined && others.length === 0)
    return [{ name: only.name, digest: { ...sha256Of(only.sha256), ...contentOf(digest) } }]
  return [
    ...files.filter(({ sha256 }) => sha256 !== undefined).map(resource),
    { name: label, digest: contentOf(digest) },
  ]
}

/** States how outputs were built, for others to sign and to check. The same data always give the same statement. */
export const stateBuild = ({
  version,
  recipe,
  overrides,
  rows = [],
  internal,
  inputs,
  outputs,
  lock,
  run,
}: Build): Statement => ({
  _type: 'https://in-toto.io/Statement/v1',
  subject: outputs.flatMap(subjectsOf),
  predicateType: 'https://slsa.dev/provenance/v1',
  predicate: {
    buildDefinition: {
      buildType: 'urn:smelt:build:1',
      externalParameters: { recipe: resource(recipe), overrides, ...(rows.length === 0 ? {} : { rows }) },
      internalParameters: internal,
      resolvedDependencies: inputs.map(({ label, sha256, digest }) => ({
        name: label,
        digest: { ...sha256Of(sha256), ...contentOf(digest) },
      })),
    },
    runDetails: {
      builder: { id: `urn:smelt:smelt@${version}`, version: { smelt: version } },
      ...(run === undefined
        ? {}
        : { metadata: { invocationId: run.id, startedOn: run.startedOn, finishedOn: run.finishedOn } }),
      byproducts: [resource(lock)],
    },
  },
})
