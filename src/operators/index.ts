import type { Operator } from './define.js'
import { algebra } from './mask/algebra.js'
import { edit } from './mask/edit.js'
import { fill } from './mask/fill.js'
import { layers } from './mask/layers.js'
import { load } from './mask/load.js'
import { magnitude } from './mask/magnitude.js'
import { addDifference } from './merge/add-difference.js'
import { blend } from './merge/blend.js'
import { dare } from './merge/dare.js'
import { family } from './merge/family.js'
import { linear } from './merge/linear.js'
import { add } from './model/add.js'
import { combine } from './model/combine.js'
import { scale } from './model/scale.js'
import { select } from './model/select.js'
import { subtract } from './model/subtract.js'
import { rules } from './weights/rules.js'

/** Every operator, sorted by id. */
export const operators: readonly Operator[] = [
  ...algebra,
  edit,
  fill,
  layers,
  load,
  magnitude,
  addDifference,
  blend,
  dare,
  ...family,
  linear,
  add,
  combine,
  scale,
  select,
  subtract,
  rules,
].sort((x, y) => (x.id < y.id ? -1 : 1))

const byId = new Map(operators.map((operator) => [operator.id, operator]))

/** The operator of an id such as `merge.ties`; undefined when there is none. */
export const findOperator = (id: string): Operator | undefined => byId.get(id)
