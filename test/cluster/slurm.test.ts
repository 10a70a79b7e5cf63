import { describe, expect, it, test } from 'vitest'
import type { Called } from '#src/cluster/call.js'
import type { SubmittedJob } from '#src/cluster/scheduler.js'
import { askMaxArraySize, awaitMaxArraySize, createSlurm, type Slurm, type SlurmOptions } from '#src/cluster/slurm.js'
import { chainSlurm } from '#src/cluster/slurm-chain.js'
import { ranges, readSqueue, secondsOf } from '#src/cluster/slurm-states.js'

/** A call of a program of Slurm. */
interface Heard {
  readonly program: string
  readonly args: readonly string[]
  readonly input: string
}

const called = (stdout = '', code = 0): Called => ({ code, stdout, stderr: '' })
const refused = (stderr: string): Called => ({ code: 1, stdout: '', stderr })
const absent = (program: string): Called => ({ code: undefined, stdout: '', stderr: `spawn ${program} ENOENT` })

/** A Slurm whose programs answer as told, and what they were asked. */
const fake = (
  answer: (heard: Heard) => Called,
  { options = {}, most = 1001 }: { readonly options?: SlurmOptions; readonly most?: number } = {},
): {
  readonly slurm: Slurm
  readonly heard: Heard[]
  readonly accepted: SubmittedJob[]
  submit(parts: readonly number[]): Promise<readonly string[]>
  clock: { now: number }
} => {
  const heard: Heard[] = []
  const accepted: SubmittedJob[] = []
  const clock = { now: 0 }
  const slurm = createSlurm(
    {
      run: '/shared/it’s 5%/run',
      id: 'blake3:0123456789abcdef',
      options,
      smelt: '/opt/smelt',
      flags: '--workers 2',
      variables: { SMELT_CACHE: '/shared/a b' },
      call: (program, args, input = '') => {
        heard.push({ program, args, input })
        return Promise.resolve(answer(heard.at(-1)!))
      },
      now: () => clock.now,
    },
    most,
  )
  const submit = async (parts: readonly number[]): Promise<readonly string[]> =>
    (await slurm.submit(parts, (job) => accepted.push(job))).map(({ code }) => code)
  return { slurm, heard, accepted, submit, clock }
}

const span = (first: number, end: number): readonly number[] => Array.from({ length: end - first }, (_, i) => first + i)
const arrayOf = ({ args }: Heard): string | undefined => args.find((arg) => arg.startsWith('--array='))

describe('parts are handed over', () => {
  test('as an array that starts smelt in place of the shell, with an environment of its own', async () => {
    const { submit, heard, accepted } = fake(() => called('42;cluster\n'), {
      options: {
        partition: 'gpu',
        account: 'lab',
        time: '2:00:00',
        cpus: 8,
        memory: '32G',
        gres: 'gpu:1',
        extra: ['--qos=low'],
        at_most: 16,
      },
    })
    expect(await submit([0, 1, 2, 5])).toEqual([])
    expect(accepted).toEqual([{ id: '42', parts: [0, 1, 2, 5] }])
    expect(heard).toEqual([
      {
        program: 'sbatch',
        args: [
          '--array=0-2,5%16',
          '--requeue',
          '--signal=B:TERM@120',
          '--parsable',
          '--job-name=smelt-0123456789ab.0',
          '--export=NONE',
          '--chdir=/shared/it’s 5%/run',
          '--output=/shared/it’s 5%%/run/logs/%A_%a.txt',
          '--open-mode=append',
          '--partition=gpu',
          '--account=lab',
          '--time=2:00:00',
          '--cpus-per-task=8',
          '--mem=32G',
          '--gres=gpu:1',
          '--qos=low',
        ],
        input:
          "#!/bin/sh\nexport SMELT_CACHE='/shared/a b'\nexec /opt/smelt work --run '/shared/it’s 5%/run' --part $((0 + SLURM_ARRAY_TASK_ID)) --workers 2\n",
      },
    ])
  })

  test('in arrays that the cluster accepts, whose tasks at one time are as many as asked for in all', async () => {
    const { submit, heard } = fake(() => called('7\n'), { most: 10, options: { at_most: 9 } })
    await submit(span(5, 25))
    expect(heard.map(arrayOf)).toEqual(['--array=5-9%3', '--array=0-9%3', '--array=0-4%3'])
    expect(heard.map(({ input }) => /\$\(\((\d+)/.exec(input)?.[1])).toEqual(['0', '10', '20'])
  })

  test('in halves where the cluster refuses the array’s size', async () => {
    const { submit, accepted } = fake(({ args }) =>
      args[0]!
        .split('-')
        .slice(-2)
        .map((n) => Number(n.replace('array=', '')))
        .reduce((x, y) => y - x) > 3
        ? refused('sbatch: error: Batch job submission failed: Invalid job array specification')
        : called('1'),
    )
    expect(await submit(span(0, 16))).toEqual([])
    expect(accepted.map(({ parts }) => parts.length)).toEqual([4, 4, 4, 4])
  })

  test('as far as a limit allows, and the rest after a while', async () => {
    let free = 4
    const { submit, accepted, heard, clock } = fake(({ args }) => {
      const [, first = '0', last = first] = /=(\d+)(?:-(\d+))?/.exec(args[0]!)!
      const count = Number(last) - Number(first) + 1
      if (count > free)
        return refused(
          "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
        )
      free -= count
      return called('1')
    })
    expect(await submit(span(0, 8))).toEqual([])
    expect(accepted.flatMap(({ parts }) => parts)).toEqual([0, 1, 2, 3])
    const calls = heard.length
    await submit(span(4, 8))
    expect(heard.length).toBe(calls)
    clock.now = 31
    free = 100
    await submit(span(4, 8))
    expect(accepted.flatMap(({ parts }) => parts)).toEqual(span(0, 8))
  })

  test('later, when the controller is away', async () => {
    const { submit, accepted } = fake(() =>
      refused('sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)'),
    )
    expect(await submit([0])).toEqual([])
    expect(accepted).toEqual([])
  })

  it.each([
    ['slurm-missing', absent('sbatch')],
    [
      'slurm-refused',
      refused(
        'sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: Invalid partition name specified',
      ),
    ],
    ['slurm-refused', refused('sbatch: error: Batch job submission failed: Invalid job array specification')],
  ])('or not at all, which is told: %s', async (code, answer) => {
    expect(await fake(() => answer).submit([0])).toEqual([code])
  })
})

const line = (
  job: number,
  index: number | 'N/A',
  state: string,
  status = 0,
  name = 'smelt-0123456789ab.0',
  reason = 'None',
): string => `${job}|${index}|${state}|1:05|${status}|2|${reason}|${name}|\n`

describe('tasks', () => {
  const tasksOf = async (text: string) => new Map(await fake(() => called(text)).slurm.tasks())

  it.each([
    ['PENDING', 0, { state: 'queued', running: 65 }],
    ['SUSPENDED', 0, { state: 'queued', running: 65 }],
    ['RUNNING', 0, { state: 'running', running: 65 }],
    ['COMPLETING', 0, { state: 'ending', running: 65 }],
    ['SOMETHING_NEW', 0, { state: 'ending', running: 65 }],
    ['COMPLETED', 0, { state: 'ended', running: 65, ended: { exit: 0, word: 'COMPLETED' } }],
    ['FAILED', 256, { state: 'ended', running: 65, ended: { exit: 1, word: 'exit 1' } }],
    ['FAILED', 19_200, { state: 'ended', running: 65, ended: { exit: 75, word: 'exit 75' } }],
    ['FAILED', 9, { state: 'ended', running: 65, ended: { exit: 137, word: 'exit 137' } }],
    ['TIMEOUT', 256, { state: 'ended', running: 65, ended: { exit: 143, word: 'TIMEOUT' } }],
    ['OUT_OF_MEMORY', 125, { state: 'ended', running: 65, ended: { exit: 143, word: 'OUT_OF_MEMORY' } }],
    ['NODE_FAIL', 256, { state: 'ended', running: 65, ended: { exit: 143, word: 'NODE_FAIL' } }],
  ])('that squeue calls %s with status %d are told', async (state, status, task) => {
    expect(await tasksOf(line(1, 3, state, status))).toEqual(new Map([[3, { id: '1_3.2', ...task }]]))
  })

  test('belong to the part that the name of their array and their index say; those of others are left alone', async () => {
    const text =
      line(1, 3, 'RUNNING', 0, 'smelt-0123456789ab.1000') +
      line(2, 3, 'RUNNING', 0, 'smelt-ffffffffffff.0') +
      line(3, 'N/A', 'RUNNING', 0, 'a|b') +
      line(4, 1, 'RUNNING', 0, 'smelt-0123456789ab.after')
    expect([...(await tasksOf(text)).keys()]).toEqual([1003])
  })

  test('of several for one part, the one that lives counts, then the latest', async () => {
    const state = async (...lines: readonly string[]) => (await tasksOf(lines.join(''))).get(0)?.state
    expect(await state(line(9, 0, 'FAILED', 256), line(2, 0, 'RUNNING'))).toBe('running')
    const { slurm } = fake(() => called(line(9, 0, 'FAILED', 256) + line(10, 0, 'COMPLETED')))
    expect((await slurm.tasks())?.get(0)?.ended?.exit).toBe(0)
  })

  test('are not known while squeue fails', async () => {
    expect(
      await fake(() => refused('slurm_load_jobs error: Unable to contact slurm controller')).slurm.tasks(),
    ).toBeUndefined()
  })

  test('are requeued where they run; one that cannot be is ended', async () => {
    const { slurm, heard, accepted } = fake(({ program, args }) =>
      program === 'squeue'
        ? called(line(5, 0, 'RUNNING') + line(5, 1, 'RUNNING') + line(5, 2, 'COMPLETED'))
        : program === 'scontrol' && args[1] === '5_1'
          ? refused('slurm_requeue error: Requested operation is presently disabled')
          : called(),
    )
    await slurm.requeue([0, 1, 2], (job) => accepted.push(job))
    expect(heard.slice(1).map(({ program, args }) => [program, ...args].join(' '))).toEqual([
      'scontrol requeue 5_0',
      'scontrol requeue 5_1',
      'scancel 5_1',
    ])
    expect(accepted).toEqual([{ id: '5', parts: [0] }])
  })

  const held = (index: number, reason: string, state = 'PENDING'): string =>
    line(5, index, state, 0, 'smelt-0123456789ab.0', reason)

  it.each([
    ['PENDING', 'JobHeldUser', 'JobHeldUser'],
    ['PENDING', 'JobHeldAdmin', 'JobHeldAdmin'],
    ['PENDING', 'launch failed requeued held', 'launch failed requeued held'],
    ['PENDING', 'DependencyNeverSatisfied', 'DependencyNeverSatisfied'],
    ['REQUEUE_HOLD', 'None', 'REQUEUE_HOLD'],
    ['PENDING', 'Priority', undefined],
    ['PENDING', 'Resources', undefined],
    ['RUNNING', 'JobHeldUser', undefined],
  ])('that are %s for the reason %s are held: %s', async (state, reason, why) => {
    expect((await tasksOf(held(0, reason, state))).get(0)?.held).toBe(why)
  })

  test('are released where they are held; one that cannot be is ended', async () => {
    const { slurm, heard, accepted } = fake(({ program, args }) =>
      program === 'squeue'
        ? called(
            held(0, 'JobHeldUser') +
              held(1, 'JobHeldAdmin') +
              held(2, 'DependencyNeverSatisfied') +
              held(3, 'Priority'),
          )
        : args[1] === '5_1'
          ? refused('scontrol: error: Access/permission denied')
          : called(),
    )
    await slurm.release([0, 1, 2, 3], (job) => accepted.push(job))
    expect(heard.slice(1).map(({ program, args }) => [program, ...args].join(' '))).toEqual([
      'scontrol release 5_0',
      'scontrol release 5_1',
      'scancel 5_1',
      'scontrol update JobId=5_2 Dependency=',
    ])
    expect(accepted).toEqual([
      { id: '5', parts: [0] },
      { id: '5', parts: [2] },
    ])
  })

  test('are withdrawn by the arrays that live', async () => {
    const { slurm, heard } = fake(({ program }) =>
      program === 'squeue' ? called(line(5, 0, 'RUNNING') + line(5, 1, 'PENDING') + line(4, 0, 'FAILED')) : called(),
    )
    await slurm.withdraw()
    expect(heard.at(-1)).toMatchObject({ program: 'scancel', args: ['5'] })
  })

  test('are followed by a job that depends on all that live', async () => {
    const { slurm, heard } = fake(({ program }) =>
      program === 'squeue' ? called(line(5, 0, 'RUNNING') + line(6, 1, 'PENDING') + line(4, 0, 'FAILED')) : called('8'),
    )
    expect(await slurm.continueWith('smelt go on')).toEqual({ problems: [], isAccepted: true })
    expect(heard.at(-1)?.args).toContain('--dependency=afterany:5:6')
    expect(heard.at(-1)?.args).toContain('--job-name=smelt-0123456789ab.after')
    expect(heard.at(-1)?.input).toContain('exec smelt go on\n')
  })
})

describe('stages', () => {
  const stages = [
    { first: 0, parts: 2 },
    { first: 2, parts: 3 },
  ]
  /** Submits parts to a Slurm that answers as told, with what follows them. */
  const chained = async (parts: readonly number[], squeue: (submitted: number) => string, done: number[] = []) => {
    let jobs = 0
    const { slurm, heard, accepted } = fake(({ program }) =>
      program === 'squeue' ? called(squeue(jobs)) : called(program === 'sbatch' ? String(10 * ++jobs) : ''),
    )
    let told = 0
    const isDone = (part: number): boolean => done.includes(part)
    const chain = chainSlurm(slurm, { stages, isDone, commit: 'smelt commit', told: () => void told++ })
    const problems = await chain.submit(parts, (job) => accepted.push(job))
    const said = heard.flatMap(({ program, args }) =>
      program === 'squeue' ? [] : [`${program} ${args.filter((a) => !/^--(?!array|dep)/.test(a)).join(' ')}`],
    )
    return { problems, said, accepted, told }
  }
  const first = (state: string): string => line(10, 0, state) + line(10, 1, state)
  const second = (job: number, reason: string): string =>
    [2, 3, 4].map((n) => line(job, n, 'PENDING', 0, 'smelt-0123456789ab.0', reason)).join('')

  test('are handed over together: the second begins once the first has succeeded, and a job commits', async () => {
    const squeue = (jobs: number) => first('RUNNING') + (jobs > 1 ? second(20, 'Dependency') : '')
    const { said, accepted, problems, told } = await chained([0, 1], squeue)
    expect([problems, told]).toEqual([[], 1])
    expect(said).toEqual([
      'sbatch --array=0-1',
      'sbatch --array=2-4 --dependency=afterok:10_0:10_1',
      'scancel ',
      'sbatch --dependency=afterany:10:20',
    ])
    expect(accepted).toEqual([
      { id: '10', parts: [0, 1] },
      { id: '20', parts: [2, 3, 4] },
    ])
  })

  test('wait for the task that took the place of one that failed', async () => {
    const squeue = () => line(7, 1, 'FAILED', 256) + line(10, 1, 'PENDING') + second(8, 'DependencyNeverSatisfied')
    const { said, accepted, told } = await chained([1], squeue, [0])
    expect(told).toBe(0)
    expect(said).toEqual(['sbatch --array=1', 'scontrol update JobId=8 Dependency=afterok:10_1'])
    expect(accepted).toEqual([{ id: '10', parts: [1] }])
  })

  test('are left to a driver where the tasks of the first are not all known', async () => {
    expect((await chained([0, 1], () => line(10, 0, 'RUNNING'))).said).toEqual(['sbatch --array=0-1'])
    const ended = () => line(10, 0, 'RUNNING') + line(10, 1, 'FAILED', 256)
    expect((await chained([0, 1], ended)).said).toEqual(['sbatch --array=0-1'])
  })
})

test('a controller that is away is asked again for a while, and anything else is told at once', async () => {
  const ask = async (answers: readonly Called[]) => {
    let [asked, told, at] = [0, 0, 0]
    const size = await awaitMaxArraySize(() => Promise.resolve(answers[Math.min(asked++, answers.length - 1)]!), {
      patience: 12,
      now: () => at,
      sleep: (seconds) => Promise.resolve(void (at += seconds)),
      told: () => void told++,
    })
    return { asked, told, codes: size.diagnostics.map(({ code }) => code) }
  }
  const away = refused('slurm_load_ctl_conf error: Unable to contact slurm controller (connect failure)')
  expect(await ask([away, away, called('MaxArraySize = 8\n')])).toEqual({ asked: 3, told: 1, codes: [] })
  expect(await ask([away])).toEqual({ asked: 4, told: 1, codes: ['slurm-silent'] })
  expect(await ask([refused('no such cluster')])).toEqual({ asked: 1, told: 0, codes: ['slurm-silent'] })
})

test('the greatest array is asked for', async () => {
  const ask = (answer: Called) => askMaxArraySize(() => Promise.resolve(answer))
  expect(await ask(called('JobRequeue  = 1\nMaxArraySize            = 10001\n'))).toMatchObject({ value: 10_001 })
  expect(await ask(called('nothing of the kind'))).toMatchObject({ value: 1001 })
  expect((await ask(absent('scontrol'))).diagnostics[0]?.code).toBe('slurm-missing')
  expect((await ask(refused('slurm_load_ctl_conf error: Unable to contact'))).diagnostics[0]).toMatchObject({
    code: 'slurm-silent',
    blame: 'retry',
  })
})

test('times of Slurm are seconds', () => {
  expect(['0:00', '1:05', '2:03:04', '1-00:00:01', 'INVALID', ''].map(secondsOf)).toEqual([0, 65, 7384, 86_401, 0, 0])
})

test('numbers are written as ranges', () => {
  expect(ranges([3, 1, 2, 7, 9, 10])).toBe('1-3,7,9-10')
  expect(ranges(span(0, 10_000))).toBe('0-9999')
})

test('an answer that is cut short is read as far as it goes', () => {
  expect(readSqueue(`${line(1, 0, 'RUNNING')}2|`)).toHaveLength(1)
})

test('a task waits for others, or for a reason that is told', () => {
  const waiting = (reason: string): string | undefined =>
    readSqueue(line(1, 0, 'PENDING', 0, 'smelt-0123456789ab.0', reason))[0]!.task.waiting
  expect(['None', 'Priority', 'Resources', 'JobArrayTaskLimit', 'Dependency', 'JobHeldUser'].map(waiting)).toEqual(
    Array(6).fill(undefined),
  )
  expect(['PartitionConfig', 'AssocGrpCpuLimit'].map(waiting)).toEqual(['PartitionConfig', 'AssocGrpCpuLimit'])
})
