// What methods cannot go below: how often they have to read their inputs, and how many operations their solvers take.

/**
 * How often an operator has to read whole tensors: once more for each thing that is known of them only at their end and
 * that decides what is done with their elements: dot products, thresholds, norms. Those that are not here read once.
 */
const READINGS = {
  'merge.slerp_many': 2,
  'merge.nuslerp': 2,
  'merge.karcher': 2,
  'merge.geometric_median': 2,
  'merge.model_stock': 2,
  'merge.perpendicular': 2,
  'merge.cosine_a': 2,
  'merge.cosine_b': 2,
  'merge.ties': 2,
  'merge.breadcrumbs': 2,
  'merge.breadcrumbs_ties': 2,
  // A threshold of importances.
  'merge.arcee_fusion': 2,
  // A threshold of variances, energies of what is above it.
  'merge.sce': 3,
  // Bounds of differences, a threshold of what is computed with them.
  'merge.pcb': 3,
  'mask.magnitude': 2,
}

/** How often a step has to read its inputs. */
const readingsOfStep = ({ op, method, rescale }) =>
  READINGS[op] ?? (method === 'slerp' || rescale === 'l1' || (op === 'merge.ram' && rescale !== undefined) ? 2 : 1)

/** How often a method has to read its inputs. */
export const readingsOf = (steps) => Math.max(...Object.values(steps).map(readingsOfStep))

/** A matrix of a tensor: its greater and its lesser side. */
const sidesOf = ([rows, ...rest]) => {
  const columns = rest.reduce((n, d) => n * d, 1)
  return [Math.max(rows, columns), Math.min(rows, columns)]
}
/** A singular value decomposition: src/kernels/solvers/svd.ts. */
const decomposition = ([m, n]) => 8 * n ** 3 + 4 * m * n ** 2

const ATTENTION = /\.attn1\..*\.weight$/
const total = (table, pattern, cost) =>
  table.reduce((sum, [name, , shape]) => (pattern.test(name) && shape.length === 2 ? sum + cost(shape) : sum), 0)

/**
 * Floating-point operations of solvers, as their files in `src/kernels/solvers` state them, by a table of tensors: of two
 * models for RegMean, of three for singular vectors.
 */
export const OPERATIONS = {
  regmean: (table) =>
    total(table, /\.attn1\.to_[qkv]\.weight$/, ([rows, columns]) => 6 * rows * columns ** 2 + columns ** 3 / 3),
  rotate: (table) =>
    total(table, ATTENTION, (shape) => 4 * sidesOf(shape)[0] * sidesOf(shape)[1] ** 2 + 30 * sidesOf(shape)[1] ** 3),
  tsv: (table) => total(table, ATTENTION, (shape) => 5 * decomposition(sidesOf(shape))),
  isotropic: (table) => total(table, ATTENTION, (shape) => decomposition(sidesOf(shape))),
}
