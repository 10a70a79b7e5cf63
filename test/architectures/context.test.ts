import { expect, test } from 'vitest'
import { patternContext } from '#src/architectures/context.js'
import { detectArchitecture } from '#src/architectures/detect.js'
import { selectLayers } from '#src/tensor/pattern.js'
import { part, readTable, type Shapes } from './tables.js'

const select = (tensors: Shapes, ...patterns: string[]): string[] | string => {
  const names = [...tensors.keys()]
  const result = selectLayers(
    patterns.map((text) => ({ text })),
    names,
    patternContext(detectArchitecture(tensors), tensors),
  )
  return result.type === 'ok'
    ? [...result.value]
    : result.diagnostics.map((d) => `${d.code}: ${d.message} ${d.help}`).join('\n')
}

const sd15 = readTable('sd15')
const sdxl = readTable('sdxl')
const flux = readTable('flux-dev')

test.each([
  ['component:unet', 686],
  ['component:diffusion', 686],
  ['component:vae', 248],
  ['component:clip', 197],
  ['component:clip_l', 197],
  ['component:other', 12],
  ['block:in.1', 36],
  ['block:in', 248],
  ['block:out.{9..11}', 114],
  ['block:final', 4],
  ['group:attn', 160],
  ['group:attn?', 160],
])('`%s` selects %i tensors of Stable Diffusion 1', (pattern, size) => expect(select(sd15, pattern).length).toBe(size))

test('text encoders are one component and several', () => {
  expect(select(sdxl, 'component:clip').length).toBe(587)
  expect(select(sdxl, 'component:clip_g').length).toBe(390)
  expect(select(flux, 'component:clip').length).toBe(196 + 219)
  expect(select(flux, 'component:t5').length).toBe(219)
  expect(select(flux, 'component:transformer')).toEqual(select(flux, 'component:diffusion'))
})

test('parts can be taken away', () => {
  expect(select(sd15, '!component:vae', '!component:clip', '!component:other')).toEqual(select(sd15, 'component:unet'))
})

test('a block that the model lacks is refused with the nearest', () => {
  expect(select(sd15, 'block:IN04')).toBe(
    'unknown-block: Stable Diffusion 1 has no block `IN04` here did you mean `in.4` or `in.0` or `in.1`?',
  )
  expect(select(sd15, 'group:mlps')).toContain('unknown-group: Stable Diffusion 1 has no group `mlps` here it has `')
  expect(select(sdxl, 'component:t5')).toContain('unknown-component')
})

test('parts of an unknown architecture are refused by name', () => {
  const tiny: Shapes = new Map([['fc1.weight', { shape: [2, 2] }]])
  expect(select(tiny, 'fc1')).toEqual(['fc1.weight'])
  for (const scheme of ['block', 'group', 'component'])
    expect(select(tiny, `${scheme}:in.4`)).toContain(
      `pattern-needs-architecture: \`${scheme}:in.4\` asks for a ${scheme}`,
    )
})

test('what an unknown network shows of itself is told in place of its blocks', () => {
  expect(
    select(
      new Map([
        ['blocks.0.mixer.weight', { shape: [2, 2] }],
        ['head.weight', { shape: [2, 2] }],
      ]),
      'block:in.4',
    ),
  ).toContain('smelt does not know the architecture of these tensors: the names begin with `blocks`, `head`')
  const halved = new Map(
    [...sd15].map(
      ([name, info]) =>
        [name.includes('.in_layers.') ? name.replace('in_layers', 'layers_of_ours') : name, info] as const,
    ),
  )
  expect(select(halved, 'block:in.4')).toMatch(/: only \d+ of 1143 tensors are named as in Stable Diffusion 1 /)
})

test.each(['model.diffusion_model.', 'diffusion_model.', 'model.model.', 'net.', ''])(
  'names below any root find an unknown network that hangs under `%s`',
  (root) => {
    const network: Shapes = new Map(
      [`${root}blocks.0.mixer.weight`, `${root}blocks.1.mixer.weight`, 'vae.out.weight'].map((name) => [
        name,
        { shape: [2, 2] },
      ]),
    )
    for (const spelling of ['model.diffusion_model.', 'diffusion_model.', 'model.model.', 'net.', ''])
      expect(select(network, `${spelling}blocks.1`)).toEqual([`${root}blocks.1.mixer.weight`])
  },
)

test('names as other programs show them work in every layout', () => {
  const block = 'input_blocks.1'
  const expected = select(sd15, `model.diffusion_model.${block}`)
  expect(expected.length).toBe(36)
  expect(select(sd15, `diffusion_model.${block}`)).toEqual(expected)
  expect(select(sd15, block)).toEqual(expected)
  for (const under of ['', 'diffusion_model.', 'net.']) {
    const alone = part(sd15, 'model.diffusion_model', under)
    for (const spelling of ['model.diffusion_model.', 'diffusion_model.', ''])
      expect(select(alone, `${spelling}${block}`).length).toBe(36)
  }
})
