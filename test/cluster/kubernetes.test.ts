import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { describe, expect, it, test } from 'vitest'
import { parse } from 'yaml'
import type { KubernetesSettings } from '#src/cluster/cluster-file.js'
import { makeManifest } from '#src/cluster/kubernetes.js'
import type { RunPlan } from '#src/cluster/layout.js'

/** As much of a manifest as the tests look at. */
interface Job {
  readonly spec: {
    readonly podFailurePolicy: { readonly rules: readonly Rule[] }
    readonly template: {
      readonly spec: { readonly containers: readonly { readonly command: unknown; readonly volumeMounts: unknown }[] }
    }
  }
}
interface Rule {
  readonly action: string
  readonly onExitCodes?: { readonly values: unknown }
  readonly onPodConditions?: readonly { readonly type: string }[]
}

const PLAN = {
  id: '0123456789ab',
  recipe: '/models/r.yaml',
  inputs: [{ path: '/models/a.safetensors', size: '1', mtime: '1' }],
  outputs: [{ path: '/models/out/m.safetensors' }],
  stages: [
    { first: 0, parts: 1, bytes: 1 },
    { first: 1, parts: 11, bytes: 1 },
  ],
} as unknown as RunPlan
const RUN = '/models/.smelt/runs/0123456789ab'
const SETTINGS: KubernetesSettings = { image: 'registry/smelt:1', claim: 'models', mount: '/models' }

const manifest = (settings: KubernetesSettings = SETTINGS): Job => {
  const made = makeManifest(RUN, PLAN, settings)
  if (made.type === 'failed') throw new Error(made.diagnostics[0]?.message)
  return parse(made.value) as Job
}

const isJob = new Ajv({ strict: false, allErrors: true }).compile(
  JSON.parse(readFileSync(new URL('../data/kubernetes/job.schema.json', import.meta.url), 'utf8')) as object,
)

describe('a manifest', () => {
  it.each<readonly [string, KubernetesSettings]>([
    ['of what is needed', SETTINGS],
    [
      'of everything',
      { ...SETTINGS, namespace: 'lab', cpus: 8, memory: '16Gi', gpus: 1, at_most: 4, smelt: 'node /opt/smelt.js' },
    ],
  ])('%s fits the published schema', (_, settings) => {
    isJob(manifest(settings))
    expect(isJob.errors ?? []).toEqual([])
  })

  test('that misspells a field does not fit it', () => {
    const job = manifest()
    expect(isJob({ ...job, spec: { ...job.spec, backoffLimitPerIndx: 2 } })).toBe(false)
    expect(isJob({ ...job, spec: { ...job.spec, completions: '12' } })).toBe(false)
  })

  test('has an index for each part, and one more that commits', () => {
    const { spec } = manifest()
    expect(spec).toMatchObject({ completionMode: 'Indexed', completions: 13, parallelism: 8, backoffLimitPerIndex: 2 })
    const [container] = spec.template.spec.containers
    expect(container?.command).toEqual([
      '/bin/sh',
      '-c',
      `part=$JOB_COMPLETION_INDEX\n[ "$part" -eq 12 ] && exec smelt work --run ${RUN} --part commit\nexec smelt work --run ${RUN} --part "$part"`,
    ])
    expect(container?.volumeMounts).toEqual([{ name: 'shared', mountPath: '/models' }])
    expect(spec.template.spec).toMatchObject({
      restartPolicy: 'Never',
      volumes: [{ name: 'shared', persistentVolumeClaim: { claimName: 'models' } }],
    })
  })

  test('tries again what a disruption ended, and fails at once for what would come again', () => {
    const rules = manifest().spec.podFailurePolicy.rules
    expect(rules.map((rule) => [rule.action, rule.onExitCodes?.values ?? rule.onPodConditions?.[0]?.type])).toEqual([
      ['Ignore', 'DisruptionTarget'],
      ['Ignore', [75]],
      ['FailJob', [1, 2, 3, 4]],
    ])
  })

  it.each<readonly [string, KubernetesSettings]>([
    ['manifest-incomplete', {}],
    ['manifest-incomplete', { image: 'x' }],
    ['manifest-incomplete', { image: 'x', claim: 'y' }],
    ['manifest-unmounted', { ...SETTINGS, mount: '/other' }],
    ['manifest-unmounted', { ...SETTINGS, mount: '/mod' }],
  ])('is refused with %s for %j', (code, settings) => {
    expect(makeManifest(RUN, PLAN, settings).diagnostics[0]?.code).toBe(code)
  })
})
