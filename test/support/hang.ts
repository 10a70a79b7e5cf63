/**
 * How long anything in a test may take, in milliseconds, before it counts as hung: ten minutes. It guards against
 * waiting for ever; no test is decided by it.
 */
export const HANG = 600_000
