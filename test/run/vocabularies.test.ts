import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { readTensors } from '../support/build-run.js'
import { toSentencePiece, toTokenizerJson, type TokenOutline } from '../support/tokenizers.js'
import type { TensorValues } from '../support/write-safetensors.js'
import { withBuildFixture, type BuildFixture } from './build-fixture.js'

const WIDTH = 4

/** A model on paper: the texts of its tokens by id, those that are added, and how many rows it has. */
interface Paper extends TokenOutline {
  readonly rows: number
  readonly head?: boolean
  readonly seed: number
  readonly width?: number
  readonly dtype?: 'F32' | 'F16'
  readonly form?: 'tokenizer.json' | 'tokenizer.model' | 'none'
  readonly config?: object
}

/** The number of a row: every row of every matrix has numbers of its own. */
const rowOf = ({ seed, width = WIDTH }: Paper, id: number, isHead = false): number[] =>
  Array.from({ length: width }, (_, column) => (isHead ? -1 : 1) * (seed * 256 + id + column / 8))

const put = (shop: BuildFixture, name: string, text: string | Uint8Array): void => {
  mkdirSync(shop.at(name.replace(/\/[^/]*$/, '')), { recursive: true })
  writeFileSync(shop.at(name), text)
}

const writeModel = async (shop: BuildFixture, name: string, paper: Paper): Promise<void> => {
  const { rows, head = true, width = WIDTH, dtype = 'F32', form = 'tokenizer.json', config = {}, added = [] } = paper
  const matrix = (isHead: boolean): TensorValues => ({
    dtype,
    shape: [rows, width],
    values: Array.from({ length: rows }, (_, id) => rowOf(paper, id, isHead)).flat(),
  })
  put(
    shop,
    `models/${name}/config.json`,
    JSON.stringify({ vocab_size: rows, tie_word_embeddings: !head, ...config }, undefined, 2),
  )
  if (form === 'tokenizer.json') put(shop, `models/${name}/${form}`, toTokenizerJson(paper))
  if (form === 'tokenizer.model') put(shop, `models/${name}/${form}`, toSentencePiece(paper))
  if (form !== 'none')
    put(
      shop,
      `models/${name}/tokenizer_config.json`,
      JSON.stringify({
        added_tokens_decoder: Object.fromEntries(added.map(({ id, content, special }) => [id, { content, special }])),
      }),
    )
  await shop.model(`models/${name}/model.safetensors`, 0, {
    'model.embed_tokens.weight': matrix(false),
    'model.norm.weight': { dtype, shape: [width], values: paper.seed },
    'model.layers.0.self_attn.q_proj.weight': { dtype, shape: [width, width], values: paper.seed },
    ...(head ? { 'lm_head.weight': matrix(true) } : {}),
  })
}

type Papers = Readonly<Record<string, Paper>>

const withModels = (papers: Papers, work: (shop: BuildFixture) => Promise<void>): Promise<void> =>
  withBuildFixture(async (shop) => {
    for (const [name, paper] of Object.entries(papers)) await writeModel(shop, name, paper)
    await work(shop)
  })

const recipe = (papers: Papers, tokenizer: object, more: object = {}): object => ({
  models: Object.fromEntries(Object.keys(papers).map((name) => [name, `models/${name}`])),
  tokenizer,
  outputs: Object.fromEntries(Object.keys(papers).map((name) => [name, { from: name, path: `out/${name}/` }])),
  ...more,
})

/** The rows of a matrix that was written. */
const rowsOf = async (shop: BuildFixture, name: string, tensor = 'model.embed_tokens.weight'): Promise<number[][]> => {
  const { shape, values } = (await readTensors(shop.at(`out/${name}/model.safetensors`)))[tensor]!
  return Array.from({ length: shape[0]! }, (_, i) => values.slice(i * shape[1]!, (i + 1) * shape[1]!))
}

const json = (shop: BuildFixture, name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(shop.at(name), 'utf8')) as Record<string, unknown>

/** The ids of a `tokenizer.json`, as programs that load it give them. */
const idsOf = (shop: BuildFixture, name: string): ReadonlyMap<string, number> => {
  const { model, added_tokens: added } = json(shop, `out/${name}/tokenizer.json`) as {
    model: { vocab: Record<string, number> }
    added_tokens: { id: number; content: string }[]
  }
  return new Map([...Object.entries(model.vocab), ...added.map(({ content, id }) => [content, id] as const)])
}

const added = (content: string, id: number, special = true) => ({ id, content, special })
const mean = (rows: readonly number[][]): number[] =>
  rows[0]!.map((_, i) => Math.fround(rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length))
const END = '</s>'

const BASE: Paper = { seed: 1, tokens: ['x', 'y', 'z', 'Ġq'], added: [added(END, 4)], rows: 8 }
const CHAT: Paper = { seed: 2, tokens: ['y', 'x', 'Ġw', 'Ġv'], added: [added(END, 4), added('<|im|>', 5)], rows: 6 }
const CODE: Paper = { seed: 3, tokens: ['Ġw', 'x', 'Ġv', 'Ġu'], added: [added(END, 4), added('<|im|>', 5)], rows: 6 }
const THREE: Papers = { base: BASE, chat: CHAT, code: CODE }

/** What the rules ask for: the row of a token in a model, from the ids of all. */
const expected = (papers: Papers, name: string, token: string, isHead = false): number[] => {
  const idIn = ({ tokens, added: more = [], rows }: Paper): number | undefined => {
    const id = more.find(({ content }) => content === token)?.id ?? tokens.indexOf(token)
    return id < 0 || id >= rows ? undefined : id
  }
  const row = (paper: Paper): number[] => rowOf(paper, idIn(paper)!, isHead && paper.head !== false)
  const holders = Object.values(papers).filter((paper) => idIn(paper) !== undefined)
  const [own, base] = [papers[name]!, Object.values(papers)[0]!]
  if (holders.includes(own)) return row(own)
  if (holders.includes(base)) return row(base)
  return mean(holders.map(row))
}

describe('a union of vocabularies', () => {
  test('gives every model the row of every token: its own, the only one, the base’s, or the mean', () =>
    withModels(THREE, async (shop) => {
      expect((await shop.build(recipe(THREE, { from: 'union' }))).codes).toEqual([])
      for (const name of Object.keys(THREE)) {
        const [rows, heads] = [await rowsOf(shop, name), await rowsOf(shop, name, 'lm_head.weight')]
        const ids = idsOf(shop, name)
        expect([...ids]).toEqual([
          ...['x', 'y', 'z', 'Ġq', END].map((token, i) => [token, i]),
          ...['Ġw', 'Ġv', 'Ġu', '<|im|>'].map((token, i) => [token, i + 5]),
        ])
        expect(rows.length).toBe(9)
        for (const [token, id] of ids) {
          expect([name, token, rows[id]]).toEqual([name, token, expected(THREE, name, token)])
          expect([name, token, heads[id]]).toEqual([name, token, expected(THREE, name, token, true)])
        }
      }
    }))

  test('is merged by the method', () =>
    withModels(THREE, async (shop) => {
      const made = recipe(
        THREE,
        { from: 'union' },
        {
          steps: { m: { op: 'merge.linear', models: { base: 2, chat: 1, code: 1 } } },
          outputs: { m: { from: 'm', path: 'out/m/' } },
        },
      )
      expect((await shop.build(made)).codes).toEqual([])
      const rows = await rowsOf(shop, 'm')
      for (const [token, id] of idsOf(shop, 'm')) {
        const of = (name: string) => expected(THREE, name, token)
        expect([token, rows[id]]).toEqual([token, mean([of('base'), of('base'), of('chat'), of('code')])])
      }
    }))

  test('writes the tokenizer of the base with the new tokens, and a config that fits', () =>
    withModels(THREE, async (shop) => {
      await shop.build(recipe(THREE, { from: 'union' }))
      const { added_tokens: list } = json(shop, 'out/chat/tokenizer.json') as { added_tokens: object[] }
      expect(list.slice(1)).toEqual(
        [5, 6, 7, 8].map((id) => ({
          id,
          content: ['Ġw', 'Ġv', 'Ġu', '<|im|>'][id - 5],
          single_word: false,
          lstrip: false,
          rstrip: false,
          normalized: id < 8,
          special: id === 8,
        })),
      )
      expect(Object.keys(json(shop, 'out/chat/tokenizer_config.json')['added_tokens_decoder'] as object)).toEqual([
        '4',
        '5',
        '6',
        '7',
        '8',
      ])
      for (const name of ['base', 'chat', 'code']) expect(json(shop, `out/${name}/config.json`)['vocab_size']).toBe(9)
      // Everything but the new tokens is as it was written.
      const [was, is] = ['models/base', 'out/chat'].map((folder) =>
        readFileSync(shop.at(`${folder}/tokenizer.json`), 'utf8'),
      )
      expect(is!.startsWith(was!.slice(0, was!.indexOf('\n    }\n  ],')))).toBe(true)
      expect(is!.endsWith(was!.slice(was!.indexOf('\n  ],')))).toBe(true)
    }))
})

describe('the vocabulary', () => {
  test('of the base or of a model leaves out what that lacks; defaults are still the base’s', () =>
    withModels(THREE, async (shop) => {
      expect((await shop.build(recipe(THREE, { from: 'base' }))).codes).toEqual([])
      expect(readFileSync(shop.at('out/code/tokenizer.json'), 'utf8')).toBe(toTokenizerJson(BASE))
      // The size stays, and rows of no token are the base's where a model has a token there, or no row.
      const code = await rowsOf(shop, 'code')
      expect(code).toEqual([
        ...['x', 'y', 'z', 'Ġq', END].map((token) => expected(THREE, 'code', token)),
        ...[5, 6, 7].map((id) => rowOf(BASE, id)),
      ])
      expect((await shop.build(recipe(THREE, { from: 'code' }))).codes).toEqual([])
      expect(await rowsOf(shop, 'base')).toEqual(
        ['Ġw', 'x', 'Ġv', 'Ġu', END, '<|im|>'].map((token) => expected(THREE, 'base', token)),
      )
      expect(readFileSync(shop.at('out/base/tokenizer.json'), 'utf8')).toBe(toTokenizerJson(CODE))
    }))

  test('can have another base than the first model', () =>
    withModels(THREE, async (shop) => {
      await shop.build(recipe(THREE, { from: 'union', base: 'chat' }))
      expect([...idsOf(shop, 'base').keys()]).toEqual(['y', 'x', 'Ġw', 'Ġv', END, '<|im|>', 'z', 'Ġq', 'Ġu'])
      const base = await rowsOf(shop, 'base')
      expect(base[3]).toEqual(rowOf(CHAT, 3))
    }))

  test('is padded with the mean of the rows of its tokens', () =>
    withModels(THREE, async (shop) => {
      expect((await shop.build(recipe(THREE, { from: 'union', pad_to: 4 }))).codes).toEqual([])
      for (const [name, isHead] of [
        ['chat', false],
        ['base', true],
      ] as const) {
        const rows = await rowsOf(shop, name, isHead ? 'lm_head.weight' : undefined)
        const tokens = [...idsOf(shop, name).keys()].map((token) => expected(THREE, name, token, isHead))
        expect(rows.slice(0, 9)).toEqual(tokens)
        expect(rows.slice(9)).toEqual(Array.from({ length: 3 }, () => mean(tokens)))
      }
      expect(json(shop, 'out/base/config.json')['vocab_size']).toBe(12)
    }))

  test('is padded before the models are merged, so that what a method measures has all rows', () =>
    withModels(THREE, async (shop) => {
      const ties = {
        ...recipe(THREE, { from: 'union', pad_to: 64 }),
        steps: {
          merged: {
            op: 'merge.ties',
            base: 'base',
            models: ['chat', 'code'].map((model) => ({ model, density: 0.5 })),
          },
        },
        outputs: { merged: { from: 'merged', path: 'out/merged/' } },
      }
      expect((await shop.build(ties)).codes).toEqual([])
      const tokens = [...idsOf(shop, 'merged').keys()]
      const padded = (name: string): number[] => {
        const rows = tokens.map((token) => expected(THREE, name, token, false))
        const means = mean(rows).map(Math.fround)
        return [...rows, ...Array.from({ length: 64 - rows.length }, () => means)].flat()
      }
      const base = padded('base')
      const trimmed = ['chat', 'code'].map((name) => {
        const delta = padded(name).map((x, i) => Math.fround(x - base[i]!))
        const kept = delta.map((x, i) => [Math.abs(x), i] as const).sort(([x, i], [y, j]) => y - x || i - j)
        const among = new Set(kept.slice(0, delta.length / 2).map(([, i]) => i))
        return delta.map((x, i) => (among.has(i) ? x : 0))
      })
      const wanted = base.map((x, i) => {
        const [a, b] = [trimmed[0]![i]!, trimmed[1]![i]!]
        const agree = [a, b].filter((d) => d !== 0 && d > 0 === a + b >= 0)
        return agree.length === 0 ? x : x + agree.reduce((n, d) => n + d, 0) / agree.length
      })
      const found = (await rowsOf(shop, 'merged')).flat()
      expect(found).toHaveLength(wanted.length)
      found.forEach((x, i) => expect(x, String(i)).toBeCloseTo(wanted[i]!, 3))
    }))

  test('stays as it is where all models have it: then nothing is computed', () => {
    const papers = { a: BASE, b: { ...BASE, seed: 5 } }
    return withModels(papers, async (shop) => {
      const built = await shop.build(recipe(papers, {}))
      expect(built.codes).toEqual([])
      expect(built.plan!.totals.computed).toBe(0)
      expect(await rowsOf(shop, 'b')).toEqual(Array.from({ length: 8 }, (_, id) => rowOf(papers.b, id)))
    })
  })

  test('has the rows that are chosen for its tokens', () => {
    const tokens = {
      Ġw: { from: 'code' },
      '<|im|>': { from: { model: 'chat', token: 'y' }, force: true },
      Ġv: { from: 'zero' },
      '<new>': { from: { model: 'base', id: 7 } },
      x: {},
    }
    return withModels(THREE, async (shop) => {
      expect((await shop.build(recipe(THREE, { from: 'union', tokens }))).codes).toEqual([])
      const ids = idsOf(shop, 'base')
      const at = async (name: string, token: string) => (await rowsOf(shop, name))[ids.get(token)!]
      expect(await at('base', 'Ġw')).toEqual(rowOf(CODE, 0))
      expect(await at('chat', 'Ġw')).toEqual(rowOf(CHAT, 2))
      for (const name of ['base', 'chat', 'code']) {
        expect(await at(name, '<|im|>')).toEqual(rowOf(CHAT, 0))
        expect(await at(name, '<new>')).toEqual(rowOf(BASE, 7))
      }
      expect((await at('base', 'Ġv'))!.map((x) => Object.is(x, 0))).toEqual([true, true, true, true])
      expect(await at('code', 'x')).toEqual(rowOf(CODE, 1))
    })
  })

  test.each([
    ['BPE', ['x', 'the', 'Ġw', 'Ã©'], true],
    ['BPE', ['x', 'Ġw', 'Ã©'], false],
    ['Unigram', ['<unk>', 'the'], true],
    ['Unigram', ['<unk>', '▁w', '<0x0A>'], false],
    ['WordPiece', ['x', 'the'], true],
    ['WordPiece', ['x', '##w'], false],
  ] as const)('warns of ordinary tokens of others that are found inside of words: %s, %j', (type, tokens, warned) => {
    const papers: Papers = {
      base: { seed: 1, tokens: [tokens[0]], rows: 4, type },
      other: { seed: 2, tokens, rows: 4, type },
    }
    return withModels(papers, async (shop) => {
      expect((await shop.build(recipe(papers, { from: 'union' }))).codes).toEqual(warned ? ['words-split'] : [])
      expect((await shop.build(recipe(papers, { from: 'base' }))).codes).not.toContain('words-split')
    })
  })

  test('leaves out tokens beyond the rows of a model, in its tokenizer too', () => {
    const papers: Papers = {
      base: {
        ...BASE,
        tokens: ['x', 'y', 'z', 'q', 'xy', 'yz'],
        merges: ['x y', ['y', 'z']],
        rows: 5,
        added: [added('<pad>', 6)],
      },
      chat: { ...CHAT, added: [added(END, 4), added('<beyond>', 6)] },
    }
    return withModels(papers, async (shop) => {
      expect((await shop.build(recipe(papers, { from: 'union' }))).codes).toEqual([])
      expect([...idsOf(shop, 'base')]).toEqual(
        ['x', 'y', 'z', 'q', 'xy', 'Ġw', 'Ġv', END].map((token, i) => [token, i]),
      )
      const { model } = json(shop, 'out/base/tokenizer.json') as { model: { merges: unknown } }
      expect(model.merges).toEqual(['x y'])
      expect((await rowsOf(shop, 'base')).length).toBe(8)
      expect(json(shop, 'out/base/tokenizer_config.json')['added_tokens_decoder']).toMatchObject({
        7: { content: END },
      })
    })
  })

  test('of SentencePiece models has the new tokens in the files beside them', () => {
    const papers: Papers = {
      base: { seed: 1, tokens: ['<unk>', '▁a', 'b'], rows: 3, form: 'tokenizer.model', added: [added('<unk>', 0)] },
      chat: { seed: 2, tokens: ['<unk>', 'b', '▁c'], rows: 4, added: [added('<|im|>', 3)], type: 'Unigram' },
    }
    return withModels(papers, async (shop) => {
      expect((await shop.build(recipe(papers, { from: 'union' }))).codes).toEqual([])
      expect(readFileSync(shop.at('out/chat/tokenizer.model'))).toEqual(Buffer.from(toSentencePiece(papers['base']!)))
      expect(json(shop, 'out/chat/added_tokens.json')).toEqual({ '▁c': 3, '<|im|>': 4 })
      const { added_tokens_decoder: decoder } = json(shop, 'out/chat/tokenizer_config.json')
      expect(decoder).toMatchObject({ 3: { content: '▁c' }, 4: { content: '<|im|>', special: true } })
      const tokens = ['<unk>', '▁a', 'b', '▁c', '<|im|>']
      expect(await rowsOf(shop, 'base')).toEqual(tokens.map((token) => expected(papers, 'base', token)))
    })
  })

  test('can be row numbers, of models without tokenizers that differ in size', () => {
    const papers: Papers = { base: { ...BASE, form: 'none' }, chat: { ...CHAT, form: 'none' } }
    return withModels(papers, async (shop) => {
      const rowsBy = async (from: string): Promise<readonly number[][][]> => {
        expect((await shop.build(recipe(papers, { from, match: 'rows' }))).codes).toEqual([])
        return [await rowsOf(shop, 'base'), await rowsOf(shop, 'chat')]
      }
      const all = (paper: Paper, from: number, to: number) =>
        Array.from({ length: to - from }, (_, i) => rowOf(paper, from + i))
      expect(await rowsBy('base')).toEqual([all(BASE, 0, 8), [...all(CHAT, 0, 6), ...all(BASE, 6, 8)]])
      expect(await rowsBy('chat')).toEqual([all(BASE, 0, 6), all(CHAT, 0, 6)])
      expect(json(shop, 'out/base/config.json')['vocab_size']).toBe(6)
    })
  })

  test('of another model gives ids of special tokens in configs their new numbers', () => {
    const papers: Papers = {
      base: { ...BASE, config: { eos_token_id: 4, bos_token_id: [2, 4], pad_token_id: null } },
      chat: { seed: 2, tokens: ['y'], added: [added(END, 1)], rows: 2 },
    }
    return withModels(papers, async (shop) => {
      put(shop, 'models/base/generation_config.json', '{"eos_token_id": [4], "top_k": 4}')
      const { codes } = await shop.build(recipe(papers, { from: 'chat' }))
      expect(codes).toEqual(['special-ids-lost'])
      expect(json(shop, 'out/base/config.json')).toMatchObject({
        eos_token_id: 1,
        bos_token_id: [2, 1],
        pad_token_id: null,
        vocab_size: 2,
      })
      expect(json(shop, 'out/base/generation_config.json')).toEqual({ eos_token_id: [1], top_k: 4 })
    })
  })
})

describe('output layers', () => {
  const merged = {
    steps: { m: { op: 'merge.linear', models: ['base', 'chat'] } },
    outputs: { m: { from: 'm', path: 'out/m/' } },
  }

  test('of tied models are their embeddings, and new rows of theirs are those of output layers', async () => {
    for (const untied of ['base', 'chat']) {
      const papers: Papers = {
        base: { ...BASE, head: untied === 'base' },
        chat: { ...CHAT, head: untied === 'chat' },
      }
      await withModels(papers, async (shop) => {
        const { codes } = await shop.build(recipe(papers, { from: 'union' }, merged))
        expect(codes).toEqual(untied === 'base' ? [] : ['head-untied'])
        const [rows, heads] = [await rowsOf(shop, 'm'), await rowsOf(shop, 'm', 'lm_head.weight')]
        for (const [token, id] of idsOf(shop, 'm')) {
          const of = (isHead: boolean) => mean(['base', 'chat'].map((name) => expected(papers, name, token, isHead)))
          expect([token, rows[id], heads[id]]).toEqual([token, of(false), of(true)])
        }
        expect(json(shop, 'out/m/config.json')['tie_word_embeddings']).toBe(false)
      })
    }
  })

  test('stay away where all models are tied', () => {
    const papers: Papers = { base: { ...BASE, head: false }, chat: { ...CHAT, head: false } }
    return withModels(papers, async (shop) => {
      expect((await shop.build(recipe(papers, { from: 'union' }, merged))).codes).toEqual([])
      expect(await readTensors(shop.at('out/m/model.safetensors'))).not.toHaveProperty(['lm_head.weight'])
    })
  })
})

test('any number of workers gives the same bytes, also of matrices of several segments', () => {
  const many = (from: number) => Array.from({ length: 1100 }, (_, i) => `t${(i * 7 + from) % 1500}`)
  const large = { rows: 1100, width: 1024, dtype: 'F16', head: false } as const
  const papers: Papers = {
    base: { seed: 0.25, tokens: many(0), ...large },
    chat: { seed: 0.5, tokens: many(900), ...large },
  }
  return withModels(papers, async (shop) => {
    const made = recipe(
      papers,
      { from: 'union', pad_to: 64 },
      {
        steps: { m: { op: 'merge.ties', base: 'base', models: [{ model: 'chat', density: 0.4 }] } },
        outputs: { m: { from: 'm', path: 'out/m/' } },
      },
    )
    const file = 'out/m/model.safetensors'
    const [[one], [four]] = [
      await shop.fresh(made, [file], { workers: 1 }),
      await shop.fresh(made, [file], { workers: 4 }),
    ]
    expect(one!.length).toBeGreaterThan(1100 * 1024 * 2)
    expect(one!.equals(four!)).toBe(true)
  })
})

describe('a recipe is refused', () => {
  const refused = (papers: Papers, tokenizer: object, codes: readonly string[]): Promise<void> =>
    withModels(papers, async (shop) => expect((await shop.build(recipe(papers, tokenizer))).codes).toEqual(codes))
  const two: Papers = { base: BASE, chat: CHAT }

  test('where a model has no tokenizer', () =>
    refused({ base: BASE, chat: { ...CHAT, form: 'none' } }, {}, ['no-tokenizer']))

  test('where tokenizers are of different kinds', () =>
    refused({ base: BASE, chat: { ...CHAT, type: 'Unigram', added: [] } }, {}, ['tokenizers-differ']))

  test('where rows of models have different widths', () =>
    refused({ base: BASE, chat: { ...CHAT, width: 8 } }, {}, ['embedding-widths-differ', 'embedding-widths-differ']))

  test('where a name is no model’s', () =>
    refused(two, { from: 'chta', base: 'none', tokens: { x: { from: 'nothing' } } }, [
      'unknown-name',
      'unknown-name',
      'unknown-name',
    ]))

  test('where a source lacks the token, or is none', async () => {
    await refused(two, { tokens: { w: { from: 'base' } } }, ['no-such-token'])
    await refused(two, { tokens: { w: { from: { model: 'base', id: 8 } } } }, ['no-such-token'])
    await refused(two, { tokens: { w: { force: true } } }, ['force-without-from'])
    await refused(two, { tokens: { w: { from: { model: 'base', id: 1, token: 'x' } } } }, ['wrong-length'])
  })

  test('where tokens are chosen and rows are matched by number', () =>
    refused(two, { match: 'rows', tokens: { x: { from: 'chat' } } }, ['tokens-without-texts']))

  test('where no model has embeddings', () =>
    withBuildFixture(async (shop) => {
      await shop.model('a.safetensors', 1)
      const made = {
        models: { a: 'a.safetensors' },
        tokenizer: {},
        outputs: { o: { from: 'a', path: 'o.safetensors' } },
      }
      expect((await shop.build(made)).codes).toEqual(['no-embeddings'])
    }))

  test.each([
    ['no JSON', '{"model": {', 'tokenizer-invalid'],
    ['nothing at all', '', 'tokenizer-invalid'],
    ['no UTF-8', Uint8Array.of(0x7b, 0xff), 'tokenizer-invalid'],
    ['no vocabulary', '{"model": {"type": "BPE"}}', 'tokenizer-invalid'],
    ['an unknown type', '{"model": {"type": "Magic", "vocab": {}}}', 'tokenizer-invalid'],
    ['nested too deeply', `{"decoder": ${'['.repeat(1e5)}`, 'tokenizer-invalid'],
    ['of ids that are no numbers', '{"model": {"vocab": {"x": "1"}}}', 'tokenizer-invalid'],
    ['of an id that is no whole number', '{"model": {"vocab": {"x": 1.5}}}', 'tokenizer-invalid'],
    ['of one token twice', '{"model": {"vocab": {"x": 1, "x": 2}}}', 'token-twice'],
    ['of one id twice', '{"model": {"vocab": {"x": 1, "y": 1}}}', 'token-id-twice'],
    [
      'of an added token with the id of another',
      '{"model": {"vocab": {"x": 1}}, "added_tokens": [{"id": 1, "content": "y"}]}',
      'token-id-twice',
    ],
  ])('where a tokenizer.json is %s', (_, text, code) =>
    withModels(two, async (shop) => {
      put(shop, 'models/chat/tokenizer.json', text)
      expect((await shop.build(recipe(two, {}))).codes).toEqual([code])
    }),
  )

  test.each([
    ['no protobuf', Buffer.from('not a model')],
    ['cut', toSentencePiece(BASE).subarray(0, 9)],
    ['empty', new Uint8Array()],
  ])('where a tokenizer.model is %s', (_, bytes) => {
    const papers = { base: { ...BASE, form: 'tokenizer.model' } as const }
    return withModels(papers, async (shop) => {
      put(shop, 'models/base/tokenizer.model', bytes)
      expect((await shop.build(recipe(papers, {}))).codes).toEqual(['tokenizer-invalid'])
    })
  })

  test('where a tokenizer.model has tokens beyond the rows', () =>
    refused({ base: { ...BASE, form: 'tokenizer.model', rows: 3 } }, {}, ['tokenizer-beyond-matrix']))

  test('where new tokens would get ids that are taken', () =>
    withModels(two, async (shop) => {
      put(shop, 'models/base/tokenizer.json', toTokenizerJson(BASE).replace('"Ġq": 3', '"Ġq": 6'))
      expect((await shop.build(recipe(two, {}))).codes).toEqual(['vocabulary-gaps'])
    }))
})

test('an output that is a file gets the rows, with a warning that it has no tokenizer', () =>
  withModels(THREE, async (shop) => {
    const { codes } = await shop.build(
      recipe(THREE, {}, { outputs: { o: { from: 'chat', path: 'out/o.safetensors' } } }),
    )
    expect(codes).toEqual(['vocabulary-without-folder'])
    expect((await readTensors(shop.at('out/o.safetensors')))['model.embed_tokens.weight']!.shape).toEqual([9, WIDTH])
  }))

test('a tokenizer that changes is noticed by the next build', () =>
  withModels(THREE, async (shop) => {
    await shop.build(recipe(THREE, {}))
    const before = await rowsOf(shop, 'code')
    put(shop, 'models/code/tokenizer.json', toTokenizerJson({ ...CODE, tokens: ['x', 'Ġw', 'Ġv', 'Ġu'] }))
    expect((await shop.build(recipe(THREE, {}))).codes).toEqual([])
    const after = await rowsOf(shop, 'code')
    expect(after[0]).toEqual(before[5])
    expect(after[5]).toEqual(before[0])
  }))
