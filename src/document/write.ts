import { Document, isCollection, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import { escapeJson } from '../base/excerpt.js'

const COMMENT = Symbol('comment')

/** A value with a comment beside it. */
export interface Commented {
  readonly [COMMENT]: string
  readonly value: Yaml
}

/** What a document is written from. A `Map` keeps the order of keys that look like numbers. */
export type Yaml = string | number | boolean | readonly Yaml[] | YamlMap | Commented

/** A map to write. */
export type YamlMap = ReadonlyMap<string, Yaml> | { readonly [key: string]: Yaml }

/** A value with a comment: at the end of its line, or above its key where the value takes several lines. */
export const commented = (value: Yaml, comment: string): Commented => ({ [COMMENT]: comment, value })

/** What YAML, by one version or another, reads as no string. */
export const YAML_WORD = /^(true|false|null|yes|no|on|off|y|n)$/i

/** True for a text that no YAML reads as anything but itself. */
export const isPlain = (text: string): boolean => /^[A-Za-z_][\w./-]*$/.test(text) && !YAML_WORD.test(text)

/** A path, or `org/name@revision`, that no YAML reads as anything else. */
const PATH = /^(?:~?\/|\.{1,2}\/|[A-Za-z_][\w.-]*\/)[\w./@-]*$/
/** The name of a param, as a value. */
const PARAM = /^\$[A-Za-z_][\w-]*$/

/** A part of a document: comment lines above it, and its entries. */
export interface Section {
  readonly comment?: readonly string[]
  readonly key: string
  readonly value: Yaml
  /** Levels of maps whose entries have lines of their own, however short; one unless given. */
  readonly levels?: number
}

/** The longest map or list that is written on one line, in characters; a list of numbers counts as this many. */
const [LINE, NUMBERS] = [100, 40]

const isCommented = (value: Yaml): value is Commented => typeof value === 'object' && COMMENT in value
const isNumbers = (value: Yaml): boolean => Array.isArray(value) && value.every((x) => typeof x === 'number')
const isMap = (value: Yaml): value is ReadonlyMap<string, Yaml> => value instanceof Map

const entriesOf = (value: YamlMap): readonly (readonly [string, Yaml])[] =>
  isMap(value) ? [...value] : Object.entries(value)

const scalar = (value: string | number | boolean): Scalar => {
  const node = new Scalar(value)
  if (typeof value === 'string')
    node.type = isPlain(value) || PATH.test(value) || PARAM.test(value) ? Scalar.PLAIN : Scalar.QUOTE_DOUBLE
  return node
}

/** A comment in the form that the writer takes: a blank in front of every line. */
const commentOf = (lines: readonly string[]): string =>
  lines
    .join('\n')
    .split(/\r\n|\r|\n/)
    .map((line) => ` ${line}`)
    .join('\n')

/** Characters that a value takes on one line; infinite where a comment needs lines of its own. */
const widthOf = (value: Yaml): number => {
  if (typeof value !== 'object') return String(value).length + 2
  if (isCommented(value)) return Infinity
  if (isNumbers(value)) return NUMBERS
  if (Array.isArray(value)) return (value as readonly Yaml[]).reduce<number>((sum, item) => sum + widthOf(item) + 2, 2)
  return entriesOf(value as YamlMap).reduce((sum, [key, item]) => sum + key.length + 4 + widthOf(item), 2)
}

const build = (value: Yaml, levels: number): Scalar | YAMLMap | YAMLSeq => {
  if (typeof value !== 'object') return scalar(value)
  if (isCommented(value)) return build(value.value, levels)
  const flow = levels <= 0 && widthOf(value) <= LINE
  if (Array.isArray(value)) {
    const list = new YAMLSeq()
    for (const item of value as readonly Yaml[]) {
      const node = build(item, levels - 1)
      if (isCommented(item)) {
        if (isBlock(node)) node.commentBefore = commentOf([item[COMMENT]])
        else node.comment = commentOf([item[COMMENT]])
      }
      list.items.push(node)
    }
    list.flow = flow
    return list
  }
  const map = new YAMLMap()
  for (const [key, item] of entriesOf(value as YamlMap)) map.items.push(pairOf(key, item, levels - 1))
  map.flow = flow
  return map
}

const isBlock = (node: unknown): boolean => isCollection(node) && node.flow !== true

const pairOf = (key: string, value: Yaml, levels: number): Pair<Scalar, Scalar | YAMLMap | YAMLSeq> => {
  const [name, node] = [scalar(key), build(value, levels)]
  if (isCommented(value)) {
    if (isBlock(node)) name.commentBefore = commentOf([value[COMMENT]])
    else node.comment = commentOf([value[COMMENT]])
  }
  return new Pair(name, node)
}

/** Takes the blanks out of `[ 1, 2 ]`, and leaves `{ a: 1 }`, strings and comments as they are. */
const tighten = (text: string): string =>
  text.replace(/"(?:[^"\\]|\\.)*"|#.*$|\[ | \]/gm, (found) => (found === '[ ' ? '[' : found === ' ]' ? ']' : found))

/**
 * A document as a person would write it: comment lines at the top, its sections apart from each other by blank lines,
 * maps of a section in lines of their own, short maps and lists within them on one line.
 */
export const writeDocument = (comment: readonly string[], sections: readonly Section[]): string => {
  const document = new Document()
  const root = new YAMLMap<Scalar, Scalar | YAMLMap | YAMLSeq>()
  for (const [i, section] of sections.entries()) {
    const pair = pairOf(section.key, section.value, section.levels ?? 1)
    if (section.comment !== undefined) pair.key.commentBefore = commentOf(section.comment)
    if (i > 0 && (isBlock(pair.value) || section.comment !== undefined)) pair.key.spaceBefore = true
    root.items.push(pair)
  }
  // As the library's types have it, a document made empty holds nothing.
  document.contents = root as never
  if (comment.length > 0) document.commentBefore = commentOf(comment)
  return escapeJson(tighten(document.toString({ lineWidth: 0, flowCollectionPadding: true })))
}
