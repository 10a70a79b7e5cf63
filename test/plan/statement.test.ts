import { expect, test } from 'vitest'
import { blake3, toDigest } from '#src/base/digest.js'
import { stateBuild, type Build } from '#src/plan/statement.js'

const digest = toDigest(blake3('x'))
const hex = digest.slice('blake3:'.length)
const [one, two, three] = ['1', '2', '3'].map((d) => d.repeat(64)) as [string, string, string]

const BUILD: Build = {
  version: '1.2.3',
  recipe: { name: 'recipe.yaml', sha256: one },
  overrides: { keep: '0.3' },
  internal: { device: 'cpu' },
  inputs: [
    { label: 'a.safetensors', sha256: 'A'.repeat(64), digest },
    { label: 'b.safetensors', sha256: undefined, digest },
  ],
  outputs: [{ label: 'out.safetensors', files: [{ name: 'out.safetensors', sha256: two }], digest }],
  lock: { name: 'recipe.lock.json', sha256: three },
}

test('a build is stated in the words of in-toto and SLSA', () => {
  expect(stateBuild(BUILD)).toEqual({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'out.safetensors', digest: { sha256: two, smeltContentBlake3: hex } }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'urn:smelt:build:1',
        externalParameters: { recipe: { name: 'recipe.yaml', digest: { sha256: one } }, overrides: { keep: '0.3' } },
        internalParameters: { device: 'cpu' },
        resolvedDependencies: [
          { name: 'a.safetensors', digest: { sha256: 'a'.repeat(64), smeltContentBlake3: hex } },
          { name: 'b.safetensors', digest: { smeltContentBlake3: hex } },
        ],
      },
      runDetails: {
        builder: { id: 'urn:smelt:smelt@1.2.3', version: { smelt: '1.2.3' } },
        byproducts: [{ name: 'recipe.lock.json', digest: { sha256: three } }],
      },
    },
  })
})

test('times are stated only when they are given', () => {
  const run = { id: 'run-1', startedOn: '2026-01-01T00:00:00Z', finishedOn: '2026-01-01T00:01:00Z' }
  expect(stateBuild({ ...BUILD, run }).predicate.runDetails.metadata).toEqual({
    invocationId: 'run-1',
    startedOn: run.startedOn,
    finishedOn: run.finishedOn,
  })
  expect(JSON.stringify(stateBuild(BUILD))).not.toContain('On"')
})

test('of a sharded output each file has its own digest, and the whole has the digest of what it holds', () => {
  const files = [
    { name: 'out-00001-of-00002.safetensors', sha256: one },
    { name: 'out-00002-of-00002.safetensors', sha256: two },
    { name: 'out.safetensors.index.json', sha256: undefined },
  ]
  expect(stateBuild({ ...BUILD, outputs: [{ label: 'build/out.safetensors', files, digest }] }).subject).toEqual([
    { name: 'out-00001-of-00002.safetensors', digest: { sha256: one } },
    { name: 'out-00002-of-00002.safetensors', digest: { sha256: two } },
    { name: 'build/out.safetensors', digest: { smeltContentBlake3: hex } },
  ])
})

test('every subject and dependency bears a digest, as the format demands', () => {
  const bare = stateBuild({
    ...BUILD,
    outputs: [{ label: 'out', files: [{ name: 'out', sha256: undefined }], digest }],
  })
  const all = [
    ...bare.subject,
    ...bare.predicate.buildDefinition.resolvedDependencies,
    ...bare.predicate.runDetails.byproducts,
  ]
  expect(
    all.every(
      (resource) =>
        Object.values(resource.digest).every((value) => /^[0-9a-f]{64}$/.test(value)) &&
        Object.keys(resource.digest).length > 0,
    ),
  ).toBe(true)
})
