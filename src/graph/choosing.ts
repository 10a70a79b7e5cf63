import type { Scalar, Tensor } from './expression.js'

/**
 * How a program computes a choice: by a `Where`, or by arithmetic on the mask as 1 and 0, which is several times
 * faster.
 */
export type Choosing =
  | { readonly type: 'where'; readonly yes: Tensor | Scalar; readonly no: Tensor | Scalar }
  /** The mask's 1 and 0 themselves. */
  | { readonly type: 'bits' }
  /** The bits times `yes`, in place of a choice between it and 0. */
  | { readonly type: 'product'; readonly yes: Tensor | Scalar }
  /** The bits times `slope`, plus `start`, in place of a choice between two numbers. */
  | { readonly type: 'line'; readonly slope: number; readonly start: number }

/** Uses arithmetic if it gives exactly the same float32 numbers. */
export const chooseBy = ({ yes, no }: Pick<Extract<Tensor, { type: 'choose' }>, 'yes' | 'no'>): Choosing => {
  if (no.type !== 'literal') return { type: 'where', yes, no }
  const [a, b] = [yes.type === 'literal' ? Math.fround(yes.value) : undefined, Math.fround(no.value)]
  if (a === 1 && b === 0) return { type: 'bits' }
  if (b === 0) return a === undefined || Number.isFinite(a) ? { type: 'product', yes } : { type: 'where', yes, no }
  if (a === undefined) return { type: 'where', yes, no }
  const slope = Math.fround(a - b)
  return Number.isFinite(slope) && Math.fround(slope + b) === a
    ? { type: 'line', slope, start: b }
    : { type: 'where', yes, no }
}
