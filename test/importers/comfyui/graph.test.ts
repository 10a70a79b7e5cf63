import { describe, expect, test } from 'vitest'
import { readApiFormat, unwrapPrompt } from '../../../dist/importers/comfyui/api-format.js'
import type { Workflow } from '../../../dist/importers/comfyui/graph.js'
import { readUiFormat } from '../../../dist/importers/comfyui/ui-format.js'

const read = (json: Readonly<Record<string, unknown>>): Workflow => {
  const workflow = readUiFormat(json)
  if (workflow === 'large') throw new Error('large')
  return workflow
}

interface Raw {
  readonly id: number
  readonly type: string
  readonly [key: string]: unknown
}

const input = (name: string, link: number | null, type = 'MODEL') => ({ name, type, link })
const output = (type = 'MODEL') => ({ name: type, type, links: [] })
const loader = (id: number): Raw => ({
  id,
  type: 'CheckpointLoaderSimple',
  inputs: [],
  outputs: [output(), output('CLIP'), output('VAE')],
  widgets_values: ['a'],
})
const sink = (id: number, ...inputs: readonly object[]): Raw => ({ id, type: 'Sink', inputs })
const graph = (nodes: readonly Raw[], links: readonly unknown[], more: object = {}) => ({ nodes, links, ...more })

/** Where the inputs of a node come from: `1.0` for the first output of node 1, or the value. */
const sources = (workflow: Workflow, id: string): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    [...(workflow.nodes.get(id)?.inputs ?? [])].map(([name, i]) => [
      name,
      i.type === 'link' ? `${i.node}.${i.slot}` : i.value,
    ]),
  )

describe('links of the UI format lead', () => {
  test('through reroutes, and to the values of primitives', () => {
    const workflow = read(
      graph(
        [
          loader(1),
          { id: 2, type: 'Reroute', inputs: [input('', 10, '*')], outputs: [output()] },
          { id: 3, type: 'Reroute', inputs: [input('', 11, '*')], outputs: [output()] },
          { id: 4, type: 'PrimitiveNode', outputs: [output('FLOAT')], widgets_values: [0.5, 'fixed'] },
          sink(
            5,
            input('model', 12),
            { name: 'ratio', type: 'FLOAT', link: 13, widget: { name: 'ratio' } },
            input('none', null),
          ),
        ],
        [
          [10, 1, 0, 2, 0, '*'],
          [11, 2, 0, 3, 0, 'MODEL'],
          { id: 12, origin_id: 3, origin_slot: 0, target_id: 5, target_slot: 0, type: 'MODEL' },
          [13, 4, 0, 5, 1, 'FLOAT'],
        ],
      ),
    )
    expect([...workflow.nodes.keys()]).toEqual(['1', '5'])
    expect(sources(workflow, '5')).toEqual({ model: '1.0', ratio: 0.5 })
  })

  test('through getters and setters of one name', () => {
    const workflow = read(
      graph(
        [
          loader(1),
          { id: 2, type: 'SetNode', inputs: [input('MODEL', 10)], outputs: [output()], widgets_values: ['base'] },
          { id: 3, type: 'GetNode', inputs: [], outputs: [output()], widgets_values: ['base'] },
          sink(4, input('model', 11)),
        ],
        [
          [10, 1, 0, 2, 0, 'MODEL'],
          [11, 3, 0, 4, 0, 'MODEL'],
        ],
      ),
    )
    expect(sources(workflow, '4')).toEqual({ model: '1.0' })
  })

  test('past bypassed nodes to their first input of the type, the one in the same place before all', () => {
    const bypassed = {
      id: 2,
      type: 'LoraLoader',
      mode: 4,
      inputs: [input('model', 10), input('clip', 11, 'CLIP')],
      outputs: [output(), output('CLIP')],
    }
    const merge = {
      id: 3,
      type: 'CLIPMergeSimple',
      mode: 4,
      inputs: [input('clip1', 12, 'CLIP'), input('clip2', 13, 'CLIP')],
      outputs: [output('CLIP')],
    }
    const workflow = read(
      graph(
        [loader(1), bypassed, merge, { ...loader(4), id: 4 }, sink(5, input('model', 14), input('clip', 15, 'CLIP'))],
        [
          [10, 1, 0, 2, 0, 'MODEL'],
          [11, 1, 1, 2, 1, 'CLIP'],
          [12, 2, 1, 3, 0, 'CLIP'],
          [13, 4, 1, 3, 1, 'CLIP'],
          [14, 2, 0, 5, 0, 'MODEL'],
          [15, 3, 0, 5, 1, 'CLIP'],
        ],
      ),
    )
    expect(sources(workflow, '5')).toEqual({ model: '1.0', clip: '1.1' })
    expect(workflow.nodes.get('2')?.muted).toBe(true)
  })

  test('into and out of subgraphs, one within another, with the values shown outside', () => {
    const inner = {
      id: 'b-inner',
      inputs: [{ name: 'model' }, { name: 'ratio' }],
      outputs: [{ name: 'MODEL' }],
      nodes: [
        {
          id: 7,
          type: 'ModelMergeSimple',
          inputs: [
            input('model1', 1),
            input('model2', 2),
            { name: 'ratio', type: 'FLOAT', link: 3, widget: { name: 'ratio' } },
          ],
          outputs: [output()],
          widgets_values: [0.9],
        },
      ],
      links: [
        { id: 1, origin_id: -10, origin_slot: 0, target_id: 7, target_slot: 0, type: 'MODEL' },
        { id: 2, origin_id: -10, origin_slot: 0, target_id: 7, target_slot: 1, type: 'MODEL' },
        { id: 3, origin_id: -10, origin_slot: 1, target_id: 7, target_slot: 2, type: 'FLOAT' },
        { id: 4, origin_id: 7, origin_slot: 0, target_id: -20, target_slot: 0, type: 'MODEL' },
      ],
    }
    const outer = {
      id: 'a-outer',
      inputs: [{ name: 'model' }],
      outputs: [{ name: 'MODEL' }],
      nodes: [
        {
          id: 5,
          type: 'b-inner',
          inputs: [input('model', 1), { name: 'ratio', type: 'FLOAT', link: null, widget: { name: 'ratio' } }],
          outputs: [output()],
          widgets_values: [0.25],
        },
      ],
      links: [
        { id: 1, origin_id: -10, origin_slot: 0, target_id: 5, target_slot: 0, type: 'MODEL' },
        { id: 2, origin_id: 5, origin_slot: 0, target_id: -20, target_slot: 0, type: 'MODEL' },
      ],
    }
    const workflow = read(
      graph(
        [
          loader(1),
          { id: 2, type: 'a-outer', inputs: [input('model', 1)], outputs: [output()] },
          sink(3, input('model', 2)),
        ],
        [
          [1, 1, 0, 2, 0, 'MODEL'],
          [2, 2, 0, 3, 0, 'MODEL'],
        ],
        { definitions: { subgraphs: [outer, inner] }, version: 0.4 },
      ),
    )
    expect([...workflow.nodes.keys()]).toEqual(['1', '2:5:7', '3'])
    expect(sources(workflow, '3')).toEqual({ model: '2:5:7.0' })
    expect(sources(workflow, '2:5:7')).toEqual({ model1: '1.0', model2: '1.0', ratio: 0.25 })
  })

  test('into and out of group nodes, whose widgets follow each other', () => {
    const group = {
      nodes: [
        {
          type: 'ModelMergeSimple',
          inputs: [input('model1', null), input('model2', null)],
          outputs: [output()],
          widgets_values: [1],
        },
        {
          type: 'LoraLoaderModelOnly',
          inputs: [input('model', null)],
          outputs: [output()],
          widgets_values: ['old', 1],
        },
      ],
      links: [[0, 0, 1, 0, 1, 'MODEL']],
      external: [],
    }
    const workflow = read(
      graph(
        [
          loader(1),
          { ...loader(2), id: 2 },
          {
            id: 3,
            type: 'workflow>Both',
            inputs: [input('model1', 1), input('model2', 2)],
            outputs: [output()],
            widgets_values: [0.3, 'new', 0.7],
          },
          sink(4, input('model', 3)),
        ],
        [
          [1, 1, 0, 3, 0, 'MODEL'],
          [2, 2, 0, 3, 1, 'MODEL'],
          [3, 3, 0, 4, 0, 'MODEL'],
        ],
        { extra: { groupNodes: { Both: group } } },
      ),
    )
    expect(sources(workflow, '4')).toEqual({ model: '3:1.0' })
    expect(sources(workflow, '3:1')).toEqual({ model: '3:0.0' })
    expect(sources(workflow, '3:0')).toEqual({ model1: '1.0', model2: '2.0' })
    expect(workflow.nodes.get('3:0')?.widgets).toEqual([0.3])
    expect(workflow.nodes.get('3:1')?.widgets).toEqual(['new', 0.7])
  })

  test('nowhere in a circle of reroutes, or in a subgraph that is inside itself', () => {
    const circle = read(
      graph(
        [
          { id: 1, type: 'Reroute', inputs: [input('', 2)], outputs: [output()] },
          { id: 2, type: 'Reroute', inputs: [input('', 1)], outputs: [output()] },
          sink(3, input('model', 1)),
        ],
        [
          [1, 1, 0, 2, 0, 'MODEL'],
          [2, 2, 0, 1, 0, 'MODEL'],
        ],
      ),
    )
    expect(sources(circle, '3')).toEqual({})
    const own = {
      id: 'own',
      inputs: [],
      outputs: [{ name: 'x' }],
      nodes: [{ id: 1, type: 'own', outputs: [output()] }],
      links: [{ id: 1, origin_id: 1, origin_slot: 0, target_id: -20, target_slot: 0 }],
    }
    const nested = read(
      graph([{ id: 1, type: 'own', outputs: [output()] }, sink(2, input('model', 1))], [[1, 1, 0, 2, 0, 'MODEL']], {
        definitions: { subgraphs: [own] },
      }),
    )
    expect(sources(nested, '2')).toEqual({ model: '1:1.0' })
  })
})

test('a muted subgraph mutes what is inside it', () => {
  const inside = { id: 's', inputs: [], outputs: [], nodes: [loader(1)], links: [] }
  const workflow = read(graph([{ id: 4, type: 's', mode: 2 }], [], { definitions: { subgraphs: [inside] } }))
  expect(workflow.nodes.get('4:1')?.muted).toBe(true)
})

test('a workflow of too many nodes is refused, however they are nested', () => {
  const inner = (name: string, type: string): object => ({
    id: name,
    inputs: [],
    outputs: [],
    nodes: Array.from({ length: 20 }, (_, id) => ({ id, type })),
    links: [],
  })
  const subgraphs = [inner('a', 'b'), inner('b', 'c'), inner('c', 'd'), inner('d', 'KSampler')]
  expect(readUiFormat(graph([{ id: 1, type: 'a' }], [], { definitions: { subgraphs } }))).toBe('large')
})

test('the API format is read by name, inside the body of a request too', () => {
  const prompt = {
    1: { class_type: 'A', inputs: {} },
    2: {
      class_type: 'B',
      inputs: { model: [1, 0], list: { __value__: ['1', 0] }, pair: ['x', 0] },
      _meta: { title: 'Mine' },
    },
  }
  expect(unwrapPrompt({ prompt, client_id: 'x' })).toBe(prompt)
  const workflow = readApiFormat(prompt) as Workflow
  expect(workflow.nodes.get('2')?.title).toBe('Mine')
  expect(sources(workflow, '2')).toEqual({ model: '1.0', list: ['1', 0], pair: ['x', 0] })
})

test('reroutes in the API format are passed, and circles of them lead nowhere', () => {
  const workflow = readApiFormat({
    1: { class_type: 'Loader', inputs: {} },
    2: { class_type: 'Reroute', inputs: { '': ['1', 1] } },
    3: { class_type: 'Reroute', inputs: { '': ['4', 0] } },
    4: { class_type: 'Reroute', inputs: { '': ['3', 0] } },
    5: { class_type: 'Sink', inputs: { clip: ['2', 0], model: ['3', 0] } },
  }) as Workflow
  expect([...workflow.nodes.keys()]).toEqual(['1', '5'])
  expect(sources(workflow, '5')).toEqual({ clip: '1.1' })
})
