import { badTags, tagReasons } from '../../base/catalogue/adapters.js'
import { isObject } from '../../base/is-object.js'
import { ok, type Result } from '../../base/result.js'

/** A tag of the pictures that an adapter was trained on, and how many of them had it. */
export interface Tag {
  readonly tag: string
  readonly count: number
}

type Plain = Readonly<Record<string, unknown>>

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (error) {
    return error
  }
}

/**
 * The tags that kohya's trainer writes in a header, over all its folders, the most frequent first and equal ones by
 * name. None where it wrote none;
 * text that cannot be read is a warning. `path` is for the words only.
 */
export const readTags = (metadata: ReadonlyMap<string, string>, path: string): Result<readonly Tag[]> => {
  const text = metadata.get('ss_tag_frequency')
  if (text === undefined) return ok([])
  const folders = parse(text)
  if (folders instanceof Error) return ok([], [badTags(path, folders.message)])
  if (!isObject(folders) || !Object.values(folders).every(isObject))
    return ok([], [badTags(path, tagReasons.notFolders)])
  const counts = new Map<string, number>()
  for (const [tag, count] of Object.values(folders as Readonly<Record<string, Plain>>).flatMap((tags) =>
    Object.entries(tags),
  )) {
    if (typeof count !== 'number' || !Number.isFinite(count))
      return ok([], [badTags(path, tagReasons.countNotNumber(tag))])
    counts.set(tag.trim(), (counts.get(tag.trim()) ?? 0) + count)
  }
  return ok(
    [...counts].map(([tag, count]) => ({ tag, count })).sort((x, y) => y.count - x.count || (x.tag < y.tag ? -1 : 1)),
  )
}
