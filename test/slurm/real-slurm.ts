import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { availableParallelism, hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

const DAEMONS = { munged: '/usr/sbin/munged', slurmctld: '/usr/sbin/slurmctld', slurmd: '/usr/sbin/slurmd' } as const
type Daemon = keyof typeof DAEMONS

/** Why there can be no Slurm here; undefined if there can. */
export const whyNoSlurm = (): string | undefined => {
  const missing = Object.entries(DAEMONS).find(([, path]) => !existsSync(path))
  if (missing !== undefined) return `no ${missing[0]}`
  return process.getuid?.() === 0 ? undefined : 'not root'
}

/** A Slurm of one node on the loopback. */
export interface RealSlurm {
  /** What programs of Slurm need to find it. */
  readonly env: Readonly<Record<string, string>>
  /** Runs a program of Slurm, and gives what it prints. */
  ask(program: string, ...args: readonly string[]): string
  /** Kills a daemon by its process id, as a crash would. */
  kill(daemon: Daemon): void
  /** Starts a daemon again, and waits until it answers. */
  start(daemon: Daemon): Promise<void>
  /** Changes the one node, as `scontrol update` has it. */
  node(...settings: readonly string[]): void
  stop(): Promise<void>
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

/** Settings of a cluster with nothing but this machine, twice as many processors as it has at most. */
const configOf = (folder: string, host: string, ports: readonly number[]): string =>
  `ClusterName=smelttest
SlurmctldHost=${host}(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmdPort=${ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=${folder}/run/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool
SlurmctldPidFile=${folder}/run/slurmctld.pid
SlurmdPidFile=${folder}/run/slurmd.pid
SlurmctldLogFile=${folder}/log/slurmctld.log
SlurmdLogFile=${folder}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
JobRequeue=1
MaxArraySize=8
MinJobAge=600
KillWait=5
SlurmctldTimeout=30
SlurmdTimeout=60
SchedulerParameters=requeue_delay=1,bf_interval=5,sched_interval=5
NodeName=${host} NodeAddr=127.0.0.1 NodeHostname=${host} CPUs=${Math.min(4, availableParallelism())} RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=${host} Default=YES MaxTime=INFINITE State=UP
`

const STEPS = 300

/** Starts Slurm in a temporary folder: nothing outside of it is written, and `stop` ends what was started. */
export const startSlurm = async (): Promise<RealSlurm> => {
  const folder = mkdtempSync(join(tmpdir(), 'smelt-slurm-'))
  const host = hostname().split('.')[0]!
  chmodSync(folder, 0o755)
  for (const name of ['state', 'spool', 'log', 'run/munge', 'munge']) mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(folder, 'munge/key'), randomBytes(1024), { mode: 0o400 })
  execFileSync('chown', ['-R', 'munge:munge', join(folder, 'munge'), join(folder, 'run/munge')])
  chmodSync(join(folder, 'munge'), 0o700)
  chmodSync(join(folder, 'run/munge'), 0o755)
  const config = join(folder, 'slurm.conf')
  writeFileSync(config, configOf(folder, host, [await freePort(), await freePort()]))
  const env = { SLURM_CONF: config }
  const running = new Map<Daemon, ChildProcess>()
  const ask = (program: string, ...args: readonly string[]): string =>
    execFileSync(program, args, {
      env: { ...process.env, ...env },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  const launch = (daemon: Daemon, command: string, args: readonly string[]): void => {
    const log = openSync(join(folder, 'log', `${daemon}.out`), 'a')
    running.set(daemon, spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', log, log] }))
  }
  const until = async (isUp: () => boolean): Promise<void> => {
    for (let i = 0; i < STEPS; i++) {
      try {
        if (isUp()) return
      } catch {
        // It does not answer yet.
      }
      await sleep(100)
    }
    throw new Error(`Slurm does not start: ${readFileSync(join(folder, 'log/slurmctld.out'), 'utf8')}`)
  }
  const start = async (daemon: Daemon): Promise<void> => {
    const at = (path: string): string => join(folder, path)
    if (daemon === 'munged') {
      const files = [
        `--key-file=${at('munge/key')}`,
        `--seed-file=${at('munge/seed')}`,
        `--log-file=${at('munge/log')}`,
      ]
      const places = [`--socket=${at('run/munge/socket')}`, `--pid-file=${at('run/munge/pid')}`]
      const user = ['--reuid=munge', '--regid=munge', '--clear-groups']
      launch(daemon, 'setpriv', [...user, DAEMONS.munged, '--foreground', ...files, ...places])
      await until(() => existsSync(at('run/munge/socket')))
    } else {
      launch(daemon, DAEMONS[daemon], ['-D', '-f', config, ...(daemon === 'slurmd' ? ['-N', host] : [])])
      if (daemon === 'slurmctld') await until(() => ask('scontrol', 'ping').includes('UP'))
      else await until(() => /idle|mix|alloc/.test(ask('sinfo', '-h', '-o', '%T')))
    }
  }
  const end = async (daemon: Daemon): Promise<void> => {
    const child = running.get(daemon)
    running.delete(daemon)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('close', resolve))
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), 5000)
    await ended
    clearTimeout(late)
  }
  const stop = async (): Promise<void> => {
    for (const daemon of ['slurmd', 'slurmctld', 'munged'] as const) await end(daemon)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    for (const daemon of ['munged', 'slurmctld', 'slurmd'] as const) await start(daemon)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    env,
    ask,
    kill: (daemon) => {
      running.get(daemon)?.kill('SIGKILL')
      running.delete(daemon)
    },
    start,
    node: (...settings) => void ask('scontrol', 'update', `nodename=${host}`, ...settings),
    stop,
  }
}
