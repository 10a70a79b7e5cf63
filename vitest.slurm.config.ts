import { defineConfig } from 'vitest/config'
import { HANG } from './test/support/hang.js'

// A real Slurm on this machine alone, started for the tests and stopped after them; one file at a time has it.
export default defineConfig({
  test: {
    include: ['test/slurm/*.slurm.ts'],
    testTimeout: 10 * HANG,
    hookTimeout: HANG,
    pool: 'forks',
    maxWorkers: 1,
    // A run with nothing but greens would not say what was skipped.
    reporters: ['verbose'],
    server: { deps: { external: [/\/dist\//] } },
  },
})
