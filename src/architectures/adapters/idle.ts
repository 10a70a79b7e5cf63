import type { TensorInfo } from '../../tensor/info.js'
import { groupAdapter, type AdapterModule, type Role } from './modules.js'

/** Roles whose tensors are multiplied with one another: where one of them is zero, their product is. */
const FACTORS: readonly (readonly Role[])[] = [
  ['up', 'down', 'mid'],
  ['w1_a', 'w1_b', 'w2_a', 'w2_b', 't1', 't2'],
  ['left', 'left_a', 'left_b', 'right', 'right_a', 'right_b', 'right_t'],
  ['a1', 'a2'],
  ['b1', 'b2'],
  ['diff'],
  ['diff-bias'],
  ['up-bias'],
  ['factor'],
  ['blocks'],
  ['skew'],
  ['embedding-skew'],
]

/** Roles that say how a change is made, and make none. */
const SETTINGS: readonly Role[] = ['alpha', 'on-input']

const isIdle = ({ tensors }: AdapterModule, isZero: (tensor: TensorInfo) => boolean): boolean => {
  const products = FACTORS.map((roles) => roles.flatMap((role) => tensors.get(role) ?? []))
  const settings = SETTINGS.filter((role) => tensors.has(role)).length
  return (
    settings < tensors.size &&
    products.flat().length + settings === tensors.size &&
    products.every((factors) => factors.length === 0 || factors.some(isZero))
  )
}

/**
 * True for an adapter whose changes are all zero, as before its first step of training; false where one may not be, such
 * as a whole tensor or lengths of rows. Looks at tensors one after another until one tells that it is not.
 */
export const isIdleAdapter = (
  tensors: ReadonlyMap<string, TensorInfo>,
  isZero: (tensor: TensorInfo) => boolean,
): boolean => {
  const { modules, others, refused } = groupAdapter(tensors)
  const isKnown = refused === undefined && others.length === 0 && modules.length > 0
  return isKnown && modules.every((module) => isIdle(module, isZero))
}
