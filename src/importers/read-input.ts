import { isUtf8 } from 'node:buffer'
import { basename } from 'node:path'
import { importableFile, notImportable } from '../base/catalogue/import.js'
import { failed, ok, type Result } from '../base/result.js'
import { readHeader, openingProblem } from '../safetensors/open.js'
import { openRegular } from '../safetensors/regular-file.js'
import type { ModelFinder } from './find-models.js'
import type { ImportInput } from './importer.js'
import { isPng, pngTexts } from './png.js'
import { isWebp, webpTexts } from './webp.js'

/** The largest picture or text that is read, in bytes; of a safetensors file only the header is. */
const MOST = 64 * 1024 * 1024
/** What is looked at to tell what a file is. */
const HEAD = 16

/** True where a safetensors header may begin: its length, then `{`. */
const mayBeSafetensors = (head: Buffer): boolean =>
  head.length > 8 && head[8] === 0x7b && head[7] === 0 && head[6] === 0

const titleOf = (path: string): string =>
  basename(path).replace(/\.(safetensors|json|ya?ml|png|webp|mecha|txt|csv|tsv)$/i, '')

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** An input from the text of a file. */
export const textInput = (path: string, text: string, finder: ModelFinder): ImportInput => {
  const plain = text.replace(/^\ufeff/, '')
  const json = /^\s*[[{]/.test(plain) ? parseJson(plain) : undefined
  const type = json === undefined ? 'text' : 'json'
  return { path, title: titleOf(path), type, text: plain, json, metadata: new Map(), finder }
}

/** Reads a file by what it contains, whatever it is called: JSON, another text, a PNG or WebP, or a safetensors file. */
export const readInput = async (path: string, file: string, finder: ModelFinder): Promise<Result<ImportInput>> => {
  try {
    const opened = await openRegular(file, importableFile)
    if (opened.type === 'failed') return opened
    const handle = opened.value
    let bytes: Buffer
    try {
      const head = Buffer.alloc(HEAD)
      const { bytesRead } = await handle.read(head, 0, HEAD, 0)
      if (mayBeSafetensors(head.subarray(0, bytesRead))) {
        const header = await readHeader(file)
        if (header.type === 'failed') return header
        const { metadata } = header.value
        return ok({ path, title: titleOf(path), type: 'safetensors', text: '', json: undefined, metadata, finder })
      }
      const { size } = await handle.stat()
      if (size > MOST) return failed(notImportable(path, 'large'))
      bytes = await handle.readFile()
    } finally {
      await handle.close()
    }
    if (isPng(bytes) || isWebp(bytes))
      return ok({
        path,
        title: titleOf(path),
        type: 'picture',
        text: '',
        json: undefined,
        metadata: isPng(bytes) ? pngTexts(bytes) : webpTexts(bytes),
        finder,
      })
    if (!isUtf8(bytes)) return failed(notImportable(path, 'binary'))
    return ok(textInput(path, bytes.toString('utf8'), finder))
  } catch (error) {
    return failed(await openingProblem(error, file, /./))
  }
}
