import { relative } from 'node:path'
import { manifestIncomplete, manifestTooLong, manifestUnmounted } from '../base/catalogue/schedulers.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { writeDocument, type YamlMap } from '../document/write.js'
import type { KubernetesSettings } from './cluster-file.js'
import type { RunPlan } from './layout.js'
import { partsIn } from './run-state.js'
import { quoteWord } from './shell-word.js'

/** Pods at a time unless the cluster file says how many. */
const MANY = 8
/** How often a part is tried again after a failure that nothing explains. */
const AGAIN = 2
/** Exit codes of smelt that would come again, and the one that asks to be tried again. */
const [PERMANENT, TRY_AGAIN] = [[1, 2, 3, 4], 75]

const isBelow = (path: string, folder: string): boolean => !/^\.\.(\/|$)/.test(relative(folder, path))

/** Indexes that a job may have without further limits, the one that commits included. */
const MOST_INDEXES = 100_000

/** What a namespace demands that enforces the restricted Pod Security Standard, for a user who is not root. */
const securityOf = ({ user, group }: KubernetesSettings): { readonly pod: YamlMap; readonly container: YamlMap } =>
  user === undefined
    ? { pod: {}, container: {} }
    : {
        pod: {
          securityContext: {
            runAsNonRoot: true,
            runAsUser: user,
            ...(group === undefined ? {} : { runAsGroup: group }),
            seccompProfile: { type: 'RuntimeDefault' },
          },
        },
        container: { securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
      }

/** What keeps a run from being done by pods that see nothing but the volume. */
const problemsOf = (run: string, plan: RunPlan, { image, claim, mount }: KubernetesSettings): readonly Diagnostic[] => {
  if (image === undefined) return [manifestIncomplete('image')]
  if (claim === undefined) return [manifestIncomplete('claim')]
  if (mount === undefined) return [manifestIncomplete('mount')]
  if (partsIn(plan) >= MOST_INDEXES) return [manifestTooLong(partsIn(plan), MOST_INDEXES - 1)]
  const paths = [run, plan.recipe, ...[...plan.inputs, ...plan.outputs].map(({ path }) => path)]
  return paths.filter((path) => !isBelow(path, mount)).map((path) => manifestUnmounted(path, mount))
}

/**
 * The manifest of an Indexed Job that does a run without a driver: pod N does part N, and the last commits. A pod whose
 * turn has not come ends with 75, which the policy ignores, and so is started again. The first of them are the first
 * parts, so those of a later stage cannot keep them from starting.
 */
export const makeManifest = (run: string, plan: RunPlan, settings: KubernetesSettings): Result<string> => {
  const problems = problemsOf(run, plan, settings)
  if (problems.length > 0) return failed(...problems)
  const { image, claim, mount, namespace, cpus, memory, gpus, at_most = MANY, smelt = 'smelt' } = settings
  const parts = partsIn(plan)
  const workers = cpus === undefined ? '' : ` --workers ${Math.min(64, cpus)}`
  const command = [
    'part=$JOB_COMPLETION_INDEX',
    `[ "$part" -eq ${parts} ] && exec ${smelt} work --run ${quoteWord(run)} --part commit`,
    `exec ${smelt} work --run ${quoteWord(run)} --part "$part"${workers}`,
  ].join('\n')
  const security = securityOf(settings)
  const amounts: YamlMap = {
    ...(cpus === undefined ? {} : { cpu: String(cpus) }),
    ...(memory === undefined ? {} : { memory }),
    ...(gpus === undefined ? {} : { 'nvidia.com/gpu': gpus }),
  }
  const container: YamlMap = {
    name: 'smelt',
    image: image!,
    command: ['/bin/sh', '-c', command],
    ...(Object.keys(amounts).length === 0 ? {} : { resources: { requests: amounts, limits: amounts } }),
    ...security.container,
    volumeMounts: [{ name: 'shared', mountPath: mount! }],
  }
  return ok(
    writeDocument(
      [],
      [
        { key: 'apiVersion', value: 'batch/v1' },
        { key: 'kind', value: 'Job' },
        {
          key: 'metadata',
          value: { name: `smelt-${plan.id}`, ...(namespace === undefined ? {} : { namespace }) },
        },
        {
          key: 'spec',
          levels: 9,
          value: {
            completionMode: 'Indexed',
            completions: parts + 1,
            parallelism: Math.min(at_most, parts + 1),
            backoffLimitPerIndex: AGAIN,
            // Without all parts there is nothing to commit: the pod that waits for them would be begun again for ever.
            maxFailedIndexes: 0,
            podFailurePolicy: {
              rules: [
                { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
                { action: 'Ignore', onExitCodes: { containerName: 'smelt', operator: 'In', values: [TRY_AGAIN] } },
                { action: 'FailJob', onExitCodes: { containerName: 'smelt', operator: 'In', values: PERMANENT } },
              ],
            },
            template: {
              spec: {
                restartPolicy: 'Never',
                automountServiceAccountToken: false,
                ...security.pod,
                containers: [container],
                volumes: [{ name: 'shared', persistentVolumeClaim: { claimName: claim! } }],
              },
            },
          },
        },
      ],
    ),
  )
}
