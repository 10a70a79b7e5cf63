import { addProduct, matrixOf, part, transposed } from './matrix.js'

/** Columns that are reduced before their effect on the rest is computed as one product. */
const PANEL = 32

/** A symmetric matrix as Q·T·Qᵀ, T tridiagonal. */
export interface Tridiagonal {
  /** n numbers. */
  readonly diagonal: Float64Array
  /** The n − 1 numbers beside the diagonal, and a 0. */
  readonly beside: Float64Array
  /** The orthogonal Q, n × n, row by row. */
  readonly q: Float64Array
}

/**
 * Reduces a symmetric n × n matrix, of which the lower triangle is given row by row and is overwritten, to tridiagonal
 * form by Householder reflections; 8n³/3 floating-point operations.
 */
export const tridiagonalize = (s: Float64Array, n: number): Tridiagonal => {
  const [diagonal, beside, factors] = [new Float64Array(n), new Float64Array(n), new Float64Array(n)]
  for (let start = 0; start < n; start += PANEL) {
    const width = Math.min(PANEL, n - start)
    const [vs, ws] = [new Float64Array(n * width), new Float64Array(n * width)]
    for (let j = 0; j < width; j++) reduceColumn({ s, n, diagonal, beside, factors, vs, ws, start, width }, j)
    const end = start + width
    if (end === n) break
    const rest = part(matrixOf(s, n, n), end, n - end, end, n - end)
    const v = part(matrixOf(vs, n, width), end, n - end, 0, width)
    const w = part(matrixOf(ws, n, width), end, n - end, 0, width)
    addProduct(rest, v, transposed(w), -1, true)
    addProduct(rest, w, transposed(v), -1, true)
  }
  return { diagonal, beside, q: orthogonalOf(s, factors, n) }
}

/** A panel: what has been reduced before it is `s − v·wᵀ − w·vᵀ` with the columns of `vs` and `ws` so far. */
interface Panel {
  readonly s: Float64Array
  readonly n: number
  readonly diagonal: Float64Array
  readonly beside: Float64Array
  /** What the reflections I − f·v·vᵀ are scaled by. */
  readonly factors: Float64Array
  readonly vs: Float64Array
  readonly ws: Float64Array
  readonly start: number
  readonly width: number
}

/** Reduces column `start + j` and leaves its reflection's vector below the diagonal. */
const reduceColumn = ({ s, n, diagonal, beside, factors, vs, ws, start, width }: Panel, j: number): void => {
  const k = start + j
  for (let i = k; i < n; i++) {
    let x = s[i * n + k]!
    for (let l = 0; l < j; l++) x -= vs[i * width + l]! * ws[k * width + l]! + ws[i * width + l]! * vs[k * width + l]!
    s[i * n + k] = x
  }
  diagonal[k] = s[k * n + k]!
  if (k + 1 >= n) return
  let tail = 0
  for (let i = k + 2; i < n; i++) tail += s[i * n + k]! * s[i * n + k]!
  const head = s[(k + 1) * n + k]!
  const norm = Math.sqrt(head * head + tail)
  if (tail === 0 || norm === 0) {
    beside[k] = head
    for (let i = k + 1; i < n; i++) s[i * n + k] = 0
    return
  }
  beside[k] = head > 0 ? -norm : norm
  const first = head - beside[k]!
  const factor = -first / beside[k]!
  factors[k] = factor
  const v = new Float64Array(n)
  v[k + 1] = 1
  for (let i = k + 2; i < n; i++) v[i] = s[i * n + k]! / first
  for (let i = k + 1; i < n; i++) s[i * n + k] = v[i]!
  const w = timesTrailing(s, v, n, k + 1)
  const [byW, byV] = [new Float64Array(j), new Float64Array(j)]
  for (let i = k + 1, row = i * width; i < n; i++, row += width) {
    const x = v[i]!
    for (let l = 0; l < j; l++) {
      byW[l]! += ws[row + l]! * x
      byV[l]! += vs[row + l]! * x
    }
  }
  for (let i = k + 1, row = i * width; i < n; i++, row += width) {
    let x = w[i]!
    for (let l = 0; l < j; l++) x -= vs[row + l]! * byW[l]! + ws[row + l]! * byV[l]!
    w[i] = x
  }
  let dot = 0
  for (let i = k + 1; i < n; i++) dot += w[i]! * v[i]!
  const half = (factor * factor * dot) / 2
  for (let i = k + 1; i < n; i++) {
    vs[i * width + j] = v[i]!
    ws[i * width + j] = factor * w[i]! - half * v[i]!
  }
}

/** The product of the symmetric matrix from row and column `first` on with a vector: four rows at a time, in order. */
const timesTrailing = (s: Float64Array, v: Float64Array, n: number, first: number): Float64Array => {
  const product = new Float64Array(n)
  let i = first
  for (; i + 4 <= n; i += 4) {
    const a = i * n
    const b = a + n
    const c = b + n
    const d = c + n
    const va = v[i]!
    const vb = v[i + 1]!
    const vc = v[i + 2]!
    const vd = v[i + 3]!
    let sa = 0
    let sb = 0
    let sc = 0
    let sd = 0
    for (let j = first; j < i; j++) {
      const own = v[j]!
      const xa = s[a + j]!
      const xb = s[b + j]!
      const xc = s[c + j]!
      const xd = s[d + j]!
      sa += xa * own
      sb += xb * own
      sc += xc * own
      sd += xd * own
      product[j] = product[j]! + xa * va + xb * vb + xc * vc + xd * vd
    }
    addRow(product, s, v, n, i, i, sa)
    addRow(product, s, v, n, i + 1, i, sb)
    addRow(product, s, v, n, i + 2, i, sc)
    addRow(product, s, v, n, i + 3, i, sd)
  }
  for (; i < n; i++) addRow(product, s, v, n, i, first, 0)
  return product
}

/** Adds what row i of a symmetric matrix makes of a vector from column `first` on; `before` is what it makes of those before. */
const addRow = (
  product: Float64Array,
  s: Float64Array,
  v: Float64Array,
  n: number,
  i: number,
  first: number,
  before: number,
): void => {
  const [row, vi] = [i * n, v[i]!]
  let sum = before
  for (let j = first; j < i; j++) {
    const x = s[row + j]!
    sum += x * v[j]!
    product[j]! += x * vi
  }
  product[i]! += sum + s[row + i]! * vi
}

/** The product of all reflections, those of a panel at once as I − V·T·Vᵀ. */
const orthogonalOf = (s: Float64Array, factors: Float64Array, n: number): Float64Array => {
  const q = new Float64Array(n * n)
  for (let i = 0; i < n; i++) q[i * (n + 1)] = 1
  const panels = Math.ceil((n - 1) / PANEL)
  for (let start = (panels - 1) * PANEL; start >= 0; start -= PANEL) {
    const width = Math.min(PANEL, n - 1 - start)
    const height = n - 1 - start
    const v = matrixOf(new Float64Array(height * width), height, width)
    for (let i = 0; i < height; i++)
      for (let j = 0; j <= Math.min(i, width - 1); j++) v.values[i * width + j] = s[(start + 1 + i) * n + start + j]!
    const gram = new Float64Array(width * width)
    addProduct(matrixOf(gram, width, width), transposed(v), v)
    const t = new Float64Array(width * width)
    for (let j = 0; j < width; j++) {
      const factor = factors[start + j]!
      for (let i = 0; i < j; i++) {
        let sum = 0
        for (let l = i; l < j; l++) sum += t[i * width + l]! * gram[l * width + j]!
        t[i * width + j] = -factor * sum
      }
      t[j * width + j] = factor
    }
    const below = part(matrixOf(q, n, n), start + 1, height, start + 1, height)
    const [projected, scaled] = [new Float64Array(width * height), new Float64Array(width * height)]
    addProduct(matrixOf(projected, width, height), transposed(v), below)
    addProduct(matrixOf(scaled, width, height), matrixOf(t, width, width), matrixOf(projected, width, height))
    addProduct(below, v, matrixOf(scaled, width, height), -1)
  }
  return q
}
