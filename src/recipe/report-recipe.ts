import type { Place } from '../base/diagnostic.js'
import { findOperator } from '../operators/index.js'
import type { Output, Step } from './recipe.js'

/** A step of a report operator, for a report that no recipe asks for; problems of it are told at `at`. */
export const reportStep = (
  name: string,
  id: string,
  at: Place,
  inputs: Step['inputs'],
  params: Step['params'],
): Step => ({
  name,
  operator: findOperator(id)!,
  at,
  keys: new Map(),
  seed: undefined,
  inputs,
  each: [],
  params,
  layers: undefined,
  mask: undefined,
  unmasked: 'keep',
  missing: 'error',
  mismatch: 'error',
  architectures: 'error',
})

/** The output of such a step. */
export const reportOutput = (name: string, at: Place, path: string, pathAt: Place): Output => ({
  name,
  at,
  from: { name, at },
  path,
  pathAt,
  folder: false,
  files: undefined,
  dtype: 'same',
  dtypeRules: [],
  shardBytes: undefined,
  delta: false,
  nonFinite: 'error',
  metadata: {},
  tags: [],
})
