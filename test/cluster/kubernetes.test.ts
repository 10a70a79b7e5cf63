import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { describe, expect, it, test } from 'vitest'
import { parse } from 'yaml'
import type { KubernetesSettings } from '#src/cluster/cluster-file.js'
import { makeManifest } from '#src/cluster/kubernetes.js'
import type { RunPlan } from '#src/cluster/layout.js'

/** As much of a manifest as the tests look at. */
interface Job {
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly completionMode: string
    readonly completions: number
    readonly maxFailedIndexes: number
    readonly podFailurePolicy: { readonly rules: readonly Rule[] }
    readonly template: {
      readonly spec: {
        readonly restartPolicy: string
        readonly containers: readonly {
          readonly name: string
          readonly command: unknown
          readonly volumeMounts: unknown
          readonly resources?: unknown
        }[]
      }
    }
  }
}
interface Rule {
  readonly action: string
  readonly onExitCodes?: { readonly containerName: string; readonly values: unknown }
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
      {
        ...SETTINGS,
        ...{ namespace: 'lab', cpus: 8, memory: '16Gi', gpus: 1, at_most: 4, smelt: 'node /opt/smelt.js' },
        ...{ user: 1000, group: 100 },
      },
    ],
  ])('%s fits the published schema', (_, settings) => {
    isJob(manifest(settings))
    expect(isJob.errors ?? []).toEqual([])
  })

  test('is admitted: what the API server demands beyond the schema', () => {
    // pkg/apis/batch/validation of Kubernetes: the order of exit codes, and what goes with limits by index.
    const job = manifest({ ...SETTINGS, namespace: 'no', cpus: 8, memory: '16Gi', gpus: 1 })
    const { metadata, spec } = job
    expect(metadata.name).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)
    // A pod is called by the job, its index and five letters, and so is its host.
    expect(`${metadata.name}-${spec.completions}`.length).toBeLessThanOrEqual(63)
    expect([spec.completionMode, spec.template.spec.restartPolicy]).toEqual(['Indexed', 'Never'])
    expect(spec.maxFailedIndexes).toBeLessThanOrEqual(spec.completions)
    const [container] = spec.template.spec.containers
    for (const { onExitCodes, onPodConditions } of spec.podFailurePolicy.rules) {
      expect([onExitCodes, onPodConditions].filter((rule) => rule !== undefined)).toHaveLength(1)
      const values = (onExitCodes?.values ?? []) as readonly number[]
      expect(values).toEqual([...new Set(values)].filter((value) => value > 0).toSorted((x, y) => x - y))
      if (onExitCodes !== undefined) expect(onExitCodes.containerName).toBe(container?.name)
    }
    // Extended resources are whole, and what is asked for is what is given.
    expect(container?.resources).toEqual({
      requests: { cpu: '8', memory: '16Gi', 'nvidia.com/gpu': 1 },
      limits: { cpu: '8', memory: '16Gi', 'nvidia.com/gpu': 1 },
    })
    // `kubectl` reads YAML 1.1, in which `no` and `True` are booleans unless they are quoted.
    const text = makeManifest(RUN, PLAN, { ...SETTINGS, namespace: 'no', cpus: 8 })
    expect(text.type === 'ok' && parse(text.value, { version: '1.1' })).toEqual(text.type === 'ok' && parse(text.value))
  })

  test('of a user keeps the restricted Pod Security Standard', () => {
    const { spec } = manifest({ ...SETTINGS, user: 1000, group: 100 }).spec.template
    expect(spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 1000,
        runAsGroup: 100,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [{ securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } }],
    })
    expect(manifest().spec.template.spec).not.toHaveProperty('securityContext')
  })

  test('of more parts than a job can have is refused', () => {
    const long = { ...PLAN, stages: [{ first: 0, parts: 100_000, bytes: 1 }] }
    expect(makeManifest(RUN, long, SETTINGS).diagnostics[0]?.code).toBe('manifest-too-long')
  })

  test('that misspells a field does not fit it', () => {
    const job = manifest()
    expect(isJob({ ...job, spec: { ...job.spec, backoffLimitPerIndx: 2 } })).toBe(false)
    expect(isJob({ ...job, spec: { ...job.spec, completions: '12' } })).toBe(false)
  })

  test('has an index for each part, and one more that commits', () => {
    const { spec } = manifest()
    expect(spec).toMatchObject({
      completionMode: 'Indexed',
      completions: 13,
      parallelism: 8,
      backoffLimitPerIndex: 2,
      maxFailedIndexes: 0,
    })
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
