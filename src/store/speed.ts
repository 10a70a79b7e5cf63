import { join } from 'node:path'
import { readChecksummed, writeChecksummed } from './checksummed.js'

/**
 * How fast builds go: seconds that one worker takes for a planned byte read, a planned byte written, and a planned
 * operation on an element.
 */
export interface Speed {
  readonly read: number
  readonly write: number
  readonly compute: number
}

/** How fast this machine builds, stored so that plans can estimate the time. */
export interface StoredSpeeds {
  /** The speed on a device; undefined if no build there was long enough to tell, or the entry cannot be read. */
  find(device: string): Speed | undefined
  keep(device: string, speed: Speed): void
}

const isSpeed = (value: unknown): value is Speed =>
  typeof value === 'object' &&
  value !== null &&
  ['read', 'write', 'compute'].every((key) => {
    const seconds = (value as Readonly<Record<string, unknown>>)[key]
    return typeof seconds === 'number' && seconds >= 0 && seconds < Infinity
  })

/** Opens the speeds in a cache; one small file for each device. */
export const openSpeeds = (root: string, now: () => number): StoredSpeeds => {
  const pathOf = (device: string): string => join(root, 'speeds', `${device.replaceAll(/[^a-z0-9]+/g, '-')}.json`)
  return {
    find: (device) => {
      const text = readChecksummed(pathOf(device), now())
      if (text === undefined) return undefined
      const value: unknown = JSON.parse(text)
      return isSpeed(value) ? value : undefined
    },
    keep: (device, speed) => writeChecksummed(pathOf(device), JSON.stringify(speed)),
  }
}
