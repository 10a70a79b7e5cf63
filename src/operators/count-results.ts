import type { Description } from './definition.js'

/** How many results a step has: by its parameters as the recipe gives them, and by how many models or masks it lists. */
export const countResults = (
  { results }: Pick<Description, 'results'>,
  params: Readonly<Record<string, unknown>>,
  inputs: Readonly<Record<string, unknown>>,
): number =>
  results?.(
    params,
    Object.values(inputs).reduce<number>((n, input) => (Array.isArray(input) ? n + input.length : n), 0),
  ) ?? 1
