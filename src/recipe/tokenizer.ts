import { forceWithoutSource, notATokenizer, tokensWithoutTexts } from '../base/catalogue/vocabularies.js'
import type { Diagnostic, Place, Range } from '../base/diagnostic.js'
import { find, type MapValue, type Value } from '../document/value.js'
import { inputEntries } from './inputs.js'
import type { Name, TokenChoice, TokenizerChoice, TokenSource } from './recipe.js'

const MODES = ['union', 'base']

const place = (range: Range): Place => ({ type: 'text', range })
const entriesOf = (value: Value | undefined): MapValue['entries'] => (value?.type === 'map' ? value.entries : new Map())
const nameIn = (value: Value | undefined, resolve: (name: string) => string): Name | undefined =>
  value?.type === 'string' ? { name: resolve(value.value), at: place(value.range) } : undefined
const numberIn = (value: Value | undefined): number | undefined => (value?.type === 'number' ? value.value : undefined)

const readSource = (value: Value | undefined, resolve: (name: string) => string): TokenSource | undefined => {
  if (value?.type === 'string' && value.value === 'zero') return { type: 'zero' }
  if (value?.type === 'string') return { type: 'row', model: nameIn(value, resolve)!, token: undefined, id: undefined }
  const own = entriesOf(value)
  const model = nameIn(own.get('model')?.value, resolve)
  const token = own.get('token')?.value
  if (model === undefined) return undefined
  return {
    type: 'row',
    model,
    token: token?.type === 'string' ? token.value : undefined,
    id: numberIn(own.get('id')?.value),
  }
}

/** Reads the key `tokenizer` of a recipe that its schema allows; problems are names that are no model’s. */
export const readTokenizerChoice = (
  root: Value,
  resolve: (name: string) => string,
): { readonly choice: TokenizerChoice | undefined; readonly problems: readonly Diagnostic[] } => {
  const value = find(root, ['tokenizer'])
  if (value?.type !== 'map') return { choice: undefined, problems: [] }
  const models = inputEntries(root).flatMap(({ name, kind }) => (kind === 'model' ? [name] : []))
  const problems: Diagnostic[] = []
  const check = (name: Name | undefined, modes: readonly string[]): void => {
    if (name !== undefined && !models.includes(name.name))
      problems.push(notATokenizer(name.at, name.name, models, modes))
  }
  const own = value.entries
  const at = place(value.range)
  const from = nameIn(own.get('from')?.value, resolve) ?? { name: 'union', at }
  const isMode = MODES.includes(from.name)
  if (!isMode) check(from, MODES)
  const base = nameIn(own.get('base')?.value, resolve)
  check(base, [])
  const matched = own.get('match')?.value
  const match = matched?.type === 'string' && matched.value === 'rows' ? 'rows' : 'tokens'
  const listed = own.get('tokens')
  if (match === 'rows' && listed !== undefined) problems.push(tokensWithoutTexts(place(listed.key)))
  const tokens = new Map<string, TokenChoice>()
  for (const [token, { key, value: choice }] of entriesOf(listed?.value)) {
    const source = readSource(find(choice, ['from']), resolve)
    if (source?.type === 'row') check(source.model, ['zero'])
    const forced = find(choice, ['force'])
    const force = forced?.type === 'boolean' && forced.value
    if (force && source === undefined) problems.push(forceWithoutSource(place(key), token))
    tokens.set(token, { at: place(key), source, force })
  }
  return {
    choice: {
      at,
      match,
      from: isMode ? { type: from.name as 'union' | 'base', at: from.at } : { ...from, type: 'model' },
      base,
      tokens,
      padTo: numberIn(own.get('pad_to')?.value),
    },
    problems,
  }
}
