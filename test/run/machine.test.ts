import { availableParallelism } from 'node:os'
import { describe, expect, test } from 'vitest'
import { defaultWorkers, peakMemory, processorQuota } from '#src/run/machine.js'

const quotaOf = (files: Readonly<Record<string, string>>): number | undefined => processorQuota((path) => files[path])

describe('processors that control groups allow', () => {
  test.each([
    ['no control groups', {}, undefined],
    [
      'version 2 without a limit',
      { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': 'max 100000\n' },
      undefined,
    ],
    ['version 2 in a container', { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '150000 100000\n' }, 1.5],
    [
      'version 2, the least of all that it is in',
      {
        '/proc/self/cgroup': '0::/user.slice/job\n',
        '/sys/fs/cgroup/user.slice/cpu.max': '400000 100000',
        '/sys/fs/cgroup/user.slice/job/cpu.max': '800000 100000',
      },
      4,
    ],
    [
      'version 1',
      {
        '/proc/self/cgroup': '4:memory:/\n3:cpu,cpuacct:/docker/1\n',
        '/sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us': '200000\n',
        '/sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us': '100000\n',
      },
      2,
    ],
    [
      'version 1 without a limit',
      {
        '/proc/self/cgroup': '3:cpu,cpuacct:/\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      },
      undefined,
    ],
    ['files that say something else', { '/proc/self/cgroup': 'x\n::\n', '/sys/fs/cgroup/cpu.max': 'soon' }, undefined],
  ])('%s', (_, files, expected) => expect(quotaOf(files)).toBe(expected))
})

test('there is a worker for each processor, and no more than memory is there for', () => {
  expect(defaultWorkers(3, 64e9)).toBe(3)
  expect(defaultWorkers(96, 64e9)).toBe(16)
  expect(defaultWorkers(8, 512e6)).toBe(5)
  expect(defaultWorkers(8, 100e6)).toBe(1)
  expect(defaultWorkers()).toBeLessThanOrEqual(availableParallelism())
})

test('the peak of memory is what the system tells of this process, or what Node.js does', () => {
  expect(peakMemory(() => 'VmPeak:\t  900 kB\nVmHWM:\t   250 kB\nVmRSS:\t 100 kB\n')).toBe(256_000)
  // It may grow while it is asked for.
  const [before, told, after] = [
    process.resourceUsage().maxRSS,
    peakMemory(() => undefined) / 1024,
    process.resourceUsage().maxRSS,
  ]
  expect(told).toBeGreaterThanOrEqual(before)
  expect(told).toBeLessThanOrEqual(after)
})
