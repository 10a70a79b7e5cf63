import type { JsonSchema } from '../document/schema.js'
import { explain, type Audience } from '../operators/audience.js'

/** The JSON Schema (draft 07) of a cluster file: how tasks are started, never what they do. */
export const clusterSchema = (audience: Audience): JsonSchema => {
  const say = (text: string): JsonSchema => explain(text, audience)
  const text = (words: string): JsonSchema => ({ title: 'a string', type: 'string', minLength: 1, ...say(words) })
  const count = (words: string): JsonSchema => ({ type: 'integer', minimum: 1, ...say(words) })
  const block = (
    words: string,
    properties: Readonly<Record<string, JsonSchema>>,
    more: JsonSchema = {},
  ): JsonSchema => ({
    title: 'settings by name',
    type: 'object',
    properties,
    additionalProperties: false,
    ...more,
    ...say(words),
  })
  const amount = (words: string): JsonSchema => ({
    title: 'a size such as 32G',
    anyOf: [
      { title: 'a size such as 32G', type: 'string', pattern: '^[0-9]+[KMGTkmgt]?$' },
      { title: 'a number of megabytes', type: 'integer', minimum: 1 },
    ],
    ...say(words),
  })
  const smelt = text(
    'How smelt is started where tasks run, as words of the shell. As it was started here unless given.',
  )
  const stage: JsonSchema = {
    title: 'an absolute path, or one that begins with a variable',
    type: 'string',
    pattern: '^(/|[$])',
    ...say(
      'A folder on a disk of each machine’s own, where tasks copy the inputs that they read: `/scratch`, or `$TMPDIR`.',
    ),
  }
  return {
    ...(audience.editor ? { $schema: 'http://json-schema.org/draft-07/schema#', $id: 'urn:smelt:cluster:1' } : {}),
    title: 'a smelt cluster file',
    type: 'object',
    ...say('How the tasks of `smelt build --on` are started. Nothing here changes a byte of what is built.'),
    properties: {
      slurm: block('For `--on slurm`: what each task asks of Slurm.', {
        partition: text('`sbatch --partition`.'),
        account: text('`sbatch --account`.'),
        time: {
          title: 'a time such as 2:00:00',
          anyOf: [
            { title: 'a time such as 2:00:00', type: 'string', pattern: '^([0-9]+-)?[0-9]+(:[0-9]+){0,2}$' },
            { title: 'a number of minutes', type: 'integer', minimum: 1 },
          ],
          ...say(
            'The longest that a task may take, as Slurm writes it: `90` for minutes, `2:00:00`, or `1-12` for a day and a half. Two minutes before, the task is asked to stop.',
          ),
        },
        cpus: count('Processors of a task, and so its worker threads. As many as the partition gives unless given.'),
        memory: amount('Memory of a task: `16G`. `smelt plan` says how much a build needs.'),
        gres: text('Generic resources, such as `gpu:1`. A task with `--device auto` takes the GPU that it gets.'),
        extra: {
          title: 'a list of arguments',
          type: 'array',
          items: { title: 'an argument that begins with `-`', type: 'string', pattern: '^-' },
          ...say('Further arguments of `sbatch`, such as `--qos=low` or `--constraint=icelake`.'),
        },
        at_most: count('The most tasks that run at one time. As many as the cluster has room for unless given.'),
        stage,
        smelt,
      }),
      exec: block('For `--on exec`: how each task is started.', {
        command: text(
          'The command of a task, with `{smelt}`, `{run}`, `{part}`, `{host}` and `{slot}`: `ssh {host} -- {smelt} work --run {run} --part {part}`.',
        ),
        hosts: {
          title: 'a list of hosts',
          type: 'array',
          items: { title: 'the name of a host', type: 'string', minLength: 1 },
          minItems: 1,
          ...say('What `{host}` stands for: the host with the fewest tasks gets the next one.'),
        },
        at_most: count('The most tasks that run at one time.'),
        stage,
        smelt,
      }),
      kubernetes: block('For `--on kubernetes`: what the manifest says.', {
        image: {
          title: 'the name of an image',
          type: 'string',
          pattern: '^\\S+$',
          ...say('The image of the container, in which smelt is installed.'),
        },
        claim: {
          title: 'a name of small letters, digits, - and .',
          type: 'string',
          pattern: '^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$',
          ...say('The PersistentVolumeClaim with the recipe, its inputs, its outputs and the run.'),
        },
        mount: {
          title: 'an absolute path without a colon',
          type: 'string',
          pattern: '^/[^:]*$',
          ...say('Where the volume is mounted, here and in each pod: the paths below are the same.'),
        },
        namespace: {
          title: 'a name of small letters, digits and -',
          type: 'string',
          pattern: '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$',
          ...say('The namespace of the job.'),
        },
        cpus: count('Processors of a pod.'),
        memory: {
          title: 'a quantity such as 16Gi',
          type: 'string',
          pattern: '^[0-9]+([.][0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)$',
          ...say('Memory of a pod: `16Gi`.'),
        },
        gpus: count('GPUs of a pod, as `nvidia.com/gpu`.'),
        user: count('The user id of the pods, who is not root and owns the run and the folders of outputs.'),
        group: count('Their group id.'),
        at_most: count('The most pods that run at one time. Eight unless given.'),
        smelt: text('How smelt is started in the container, as words of the shell: `smelt` unless given.'),
      }),
    },
    additionalProperties: false,
  }
}
