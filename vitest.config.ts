import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    pool: 'forks',
    // Tests exercise the compiled program, the one that ships: workers need real files, and there is no second way to load them.
    server: { deps: { external: [/\/dist\//] } },
  },
})
