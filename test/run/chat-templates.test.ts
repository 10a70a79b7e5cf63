import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { withBuildFixture, type BuildFixture } from './build-fixture.js'

/** What each model has as its chat template, and where. */
const MODELS = {
  plain: {},
  own: { 'chat_template.jinja': '{{ own }}', 'tokenizer_config.json': '{"chat_template": "{{ stale }}"}' },
  inside: { 'tokenizer_config.json': '{\n  "model_max_length": 1e30,\n  "chat_template": "{{ inside }}"\n}' },
  listed: {
    'tokenizer_config.json':
      '{"chat_template": [{"name": "tool", "template": "{{ no }}"}, {"name": "default", "template": "{{ inside }}"}]}',
  },
} as const

const withModels = (work: (shop: BuildFixture) => Promise<void>): Promise<void> =>
  withBuildFixture(async (shop) => {
    for (const [name, files] of Object.entries(MODELS)) {
      mkdirSync(shop.at(name))
      for (const [file, text] of Object.entries({ 'config.json': '{}', ...files }))
        writeFileSync(shop.at(`${name}/${file}`), text)
      await shop.model(`${name}/model.safetensors`, 1)
    }
    await work(shop)
  })

const recipe = (template: string, files = 'plain', path = 'out/'): object => ({
  models: Object.fromEntries(Object.keys(MODELS).map((name) => [name, name])),
  steps: { m: { op: 'merge.linear', models: Object.keys(MODELS) } },
  outputs: { m: { from: 'm', path, chat_template: template, ...(path === 'out/' ? { files } : {}) } },
})

const textOf = (shop: BuildFixture, name: string): string => readFileSync(shop.at(`out/${name}`), 'utf8')

test.each([
  ['{% for m in messages %}{{ m }}{% endfor %}', '{% for m in messages %}{{ m }}{% endfor %}'],
  ['own', '{{ own }}'],
  ['inside', '{{ inside }}'],
  ['listed', '{{ inside }}'],
  ['auto', '{{ inside }}'],
])('a folder has the chat template that %s asks for', (template, expected) =>
  withModels(async (shop) => {
    expect((await shop.build(recipe(template))).codes).toEqual([])
    expect(textOf(shop, 'chat_template.jinja')).toBe(expected)
    expect(existsSync(shop.at('out/tokenizer_config.json'))).toBe(false)
  }),
)

test('it takes the place of one in the settings of the tokenizer, where all else stays as it is written', () =>
  withModels(async (shop) => {
    await shop.build(recipe('own', 'inside'))
    expect(textOf(shop, 'tokenizer_config.json')).toBe(
      MODELS.inside['tokenizer_config.json'].replace('{{ inside }}', '{{ own }}'),
    )
  }))

test.each([
  ['a model without one', recipe('plain'), 'no-chat-template'],
  ['a name that no model has', recipe('onw'), 'unknown-name'],
  ['an output that is a file', recipe('own', 'plain', 'out.safetensors'), 'files-without-folder'],
])('%s is refused', (_, made, code) =>
  withModels(async (shop) => expect((await shop.build(made)).codes).toEqual([code])),
)

test('of models none of which has a template, none is chosen, with a warning', () =>
  withModels(async (shop) => {
    const made = {
      models: { plain: 'plain' },
      outputs: { m: { from: 'plain', path: 'out/', chat_template: 'auto' } },
    }
    expect((await shop.build(made)).codes).toEqual(['no-chat-template'])
    expect(existsSync(shop.at('out/config.json'))).toBe(true)
    expect(existsSync(shop.at('out/chat_template.jinja'))).toBe(false)
  }))

test('templates that differ in blanks around them count as one', () =>
  withBuildFixture(async (shop) => {
    for (const [name, text] of Object.entries({ a: 'one', b: 'two\n', c: 'two' })) {
      mkdirSync(shop.at(name))
      writeFileSync(shop.at(`${name}/config.json`), '{}')
      writeFileSync(shop.at(`${name}/chat_template.jinja`), text)
      await shop.model(`${name}/model.safetensors`, 1)
    }
    await shop.build({
      models: { a: 'a', b: 'b', c: 'c' },
      steps: { m: { op: 'merge.linear', models: ['a', 'b', 'c'] } },
      outputs: { m: { from: 'm', path: 'out/', chat_template: 'auto' } },
    })
    expect(textOf(shop, 'chat_template.jinja')).toBe('two\n')
  }))

test('further templates in a folder of their own are not copied, and told', () =>
  withModels(async (shop) => {
    mkdirSync(shop.at('own/additional_chat_templates'))
    const made = (more: object) => ({
      models: { own: 'own' },
      outputs: { m: { from: 'own', path: 'out/', ...more } },
    })
    expect((await shop.build(made({}))).codes).toEqual(['templates-left'])
    expect((await shop.build(made({ chat_template: 'own' }))).codes).toEqual([])
  }))
