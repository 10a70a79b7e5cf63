import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Scalar,
  type Alias,
  type Document,
  type ParsedNode,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import * as say from '../base/catalogue/document.js'
import { indentedKey } from '../base/catalogue/indentation.js'
import type { Diagnostic, Range, Source } from '../base/diagnostic.js'
import { lineAt } from '../base/position.js'
import { MOST_PROBLEMS } from './report.js'
import { MOST_LEVELS } from './scan.js'
import type { Entry, Value } from './value.js'

/** How many values a document may write. */
export const MOST_VALUES = 100_000

/** How many values all aliases of a document together may expand to. */
export const MOST_EXPANDED = 10_000

// A value with what it costs to write it out in full: how many values it holds, and how deep.
interface Built {
  readonly value: Value
  readonly size: number
  readonly height: number
}

const OPEN = Symbol('open')

/**
 * Turns a composed document into values with their places. Where something cannot be used it reports that and goes on.
 */
export const buildValue = (
  document: Document.Parsed,
  source: Source,
): { readonly value: Value; readonly problems: readonly Diagnostic[] } => {
  const problems: Diagnostic[] = []
  const anchors = new Map<string, Built | typeof OPEN>()
  const resolvable = document.schema.tags.flatMap((tag) =>
    'test' in tag && tag.test !== undefined && tag.default === true ? [tag.test] : [],
  )
  let written = 0
  let expanded = 0

  const rangeAt = (start: number, end: number): Range => ({ source, start, end })
  const rangeOfNode = (node: ParsedNode): Range => {
    const [start, end] = node.range
    return rangeAt(start, Math.max(start, start + source.text.slice(start, end).trimEnd().length))
  }
  const nothing = (range: Range): Built => ({ value: { type: 'null', value: null, range }, size: 1, height: 0 })

  const buildNumber = (value: number | bigint, range: Range): Value => {
    const text = source.text.slice(range.start, range.end)
    if (!Number.isFinite(Number(value))) problems.push(say.nonFinite(range, text))
    else if (typeof value === 'bigint' && !Number.isSafeInteger(Number(value)))
      problems.push(say.integerTooLarge(range, text))
    return { type: 'number', value: Number(value), range }
  }

  const buildScalar = (value: unknown, range: Range): Value => {
    if (typeof value === 'string') return { type: 'string', value, range }
    if (typeof value === 'boolean') return { type: 'boolean', value, range }
    if (typeof value === 'number' || typeof value === 'bigint') return buildNumber(value, range)
    return { type: 'null', value: null, range }
  }

  const buildAlias = (node: Alias.Parsed, depth: number): Built => {
    const range = rangeOfNode(node)
    const target = anchors.get(node.source)
    // Suggestions compare with every anchor, so only problems that will be shown get one.
    const suggested = problems.length < MOST_PROBLEMS ? anchors.keys() : []
    if (target === undefined) problems.push(say.unknownAnchor(range, node.source, suggested))
    if (target === OPEN) problems.push(say.recursiveAlias(range, node.source))
    if (target === undefined || target === OPEN) return nothing(range)
    const before = expanded
    expanded += target.size
    if (expanded > MOST_EXPANDED) {
      if (before <= MOST_EXPANDED) problems.push(say.aliasTooLarge(range, node.source, MOST_EXPANDED))
      return nothing(range)
    }
    if (depth + target.height > MOST_LEVELS) {
      problems.push(say.nestedTooDeep(range, MOST_LEVELS))
      return nothing(range)
    }
    return { ...target, value: { ...target.value, range } }
  }

  const buildKey = (node: unknown, range: Range): string | undefined => {
    if (!isScalar(node) || typeof node.value !== 'string') {
      problems.push(say.nonStringKey(range, source.text.slice(range.start, range.end)))
      return undefined
    }
    const key = node.value
    const plain = node.type === Scalar.PLAIN
    if (key === '') problems.push(say.emptyKey(range))
    else if (plain && key === '<<') problems.push(say.mergeKey(range))
    else if (plain && resolvable.some((test) => test.test(key))) problems.push(say.nonStringKey(range, key))
    return key
  }

  // Block collections end with their last value; the parser counts comments and blank lines in.
  const collectionRange = (node: YAMLMap | YAMLSeq, last: Range | undefined): Range => {
    const whole = rangeOfNode(node as ParsedNode)
    return node.flow === true || last === undefined ? whole : rangeAt(whole.start, Math.max(whole.start, last.end))
  }

  /** In a flow map, the digits behind a comma that no space follows: `{ keep: 0,5 }`. */
  const isDecimalPart = ({ key, value }: YAMLMap.Parsed['items'][number], before: Range | undefined): boolean => {
    const { start, end } = rangeOfNode(key)
    return (
      before !== undefined &&
      value === null &&
      /^-?\d+,\d+$/.test(source.text.slice(before.start, end)) &&
      source.text[start - 1] === ','
    )
  }

  const buildMap = (node: YAMLMap.Parsed, depth: number): Built => {
    const entries = new Map<string, Entry>()
    let size = 1
    let height = 0
    let last: Range | undefined
    let empty: { readonly key: Range; readonly name: string } | undefined
    for (const pair of node.items) {
      const key = rangeOfNode(pair.key)
      if (isDecimalPart(pair, last)) {
        const number = rangeAt(last!.start, key.end)
        problems.push(say.decimalComma(number, source.text.slice(number.start, number.end)))
        continue
      }
      if (isScalar(pair.key) && pair.key.anchor !== undefined) {
        anchors.set(pair.key.anchor, { value: buildScalar(pair.key.value, key), size: 1, height: 0 })
      }
      const name = buildKey(pair.key, key)
      const built = build(pair.value, key, depth + 1)
      const omitted = built.value.type === 'null' && built.value.range.start === built.value.range.end
      const value = omitted ? nothing(key).value : built.value
      last = value.range
      size += built.size
      height = Math.max(height, built.height + 1)
      const first = name === undefined ? undefined : entries.get(name)
      if (omitted && node.flow !== true && name !== undefined) empty = { key, name }
      if (name !== undefined && first !== undefined && empty !== undefined && empty.key.start > first.key.start) {
        problems.push(indentedKey(empty.key, empty.name, name, lineAt(source, key.start).number))
        break
      }
      if (name !== undefined && first !== undefined) problems.push(say.duplicateKey(key, name, first.key))
      else if (name !== undefined) entries.set(name, { key, value })
    }
    return { value: { type: 'map', entries, range: collectionRange(node, last) }, size, height }
  }

  const buildList = (node: YAMLSeq.Parsed, depth: number): Built => {
    const built = node.items.map((item) => build(item as ParsedNode, rangeOfNode(node), depth + 1))
    const items = built.map(({ value }) => value)
    const size = built.reduce((sum, item) => sum + item.size, 1)
    const height = built.reduce((most, item) => Math.max(most, item.height + 1), 0)
    return { value: { type: 'list', items, range: collectionRange(node, items.at(-1)?.range) }, size, height }
  }

  const build = (node: ParsedNode | null, around: Range, depth: number): Built => {
    if (node === null) return nothing(around)
    if (++written === MOST_VALUES + 1) problems.push(say.tooManyValues(rangeOfNode(node), MOST_VALUES))
    if (written > MOST_VALUES) return nothing(around)
    if (isAlias(node)) return buildAlias(node, depth)
    if (node.anchor !== undefined) anchors.set(node.anchor, OPEN)
    const built = isMap(node)
      ? buildMap(node, depth)
      : isSeq(node)
        ? buildList(node, depth)
        : { value: buildScalar(node.value, rangeOfNode(node)), size: 1, height: 0 }
    if (node.anchor !== undefined) anchors.set(node.anchor, built)
    return built
  }

  const { value } = build(document.contents, rangeAt(0, 0), 0)
  return { value, problems }
}
