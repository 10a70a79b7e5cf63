import { describe, expect, it } from 'vitest'
import { renderDot, renderMermaid } from '#src/view/plan-graph.js'
import { renderPlan, renderPlanShort } from '#src/view/plan-text.js'
import { widthOf } from '#src/base/columns.js'

type Outline = Parameters<typeof renderDot>[0]

const outline: Outline = {
  name: 'anime "detail"',
  seed: 42,
  models: [
    {
      name: 'base',
      path: 'sd15.safetensors',
      architecture: 'Stable Diffusion 1',
      tensors: 1131,
      bytes: 2_132_625_894,
      files: ['/m/sd15.safetensors'],
    },
    {
      name: 'anime',
      path: '../a/very/long/path/that/does/not/fit/into/eighty/columns/anime-v3.safetensors',
      architecture: undefined,
      tensors: 686,
      bytes: 1.7e9,
      files: ['/m/anime.safetensors'],
    },
  ],
  steps: [
    {
      name: 'quarters',
      step: 'quarters',
      setting: 0,
      op: 'mask.fill',
      kind: 'mask',
      space: undefined,
      uses: ['base'],
      wantedBy: ['blend'],
      tensors: 1131,
      counts: {},
      neededBy: [],
      reasons: [{ type: 'taken-over' }],
      reason: 'taken over from the last build',
      numbers: {},
    },
    {
      name: 'blend',
      step: 'blend',
      setting: 0,
      op: 'merge.dare',
      kind: 'model',
      space: 'weights',
      uses: ['base', 'anime', 'quarters.2'],
      wantedBy: ['merged'],
      tensors: 1131,
      counts: { constant: 2, merged: 1100, missing: 29 },
      neededBy: ['merged'],
      reasons: [{ type: 'new' }],
      reason: 'never built before',
      numbers: {},
    },
  ],
  unused: ['spare'],
  outputs: [
    {
      name: 'merged',
      path: 'build/anime\u001b[31m.safetensors',
      from: 'blend',
      kept: false,
      tensors: 1131,
      bytes: 2.13e9,
      dtypes: { I64: 1, F16: 1130 },
      unscaled: 0,
      files: ['/m/build/anime.safetensors'],
    },
  ],
  reports: [{ name: 'coverage', path: 'build/mask.html', from: 'quarters', format: 'html', measured: 1131 }],
  work: {
    tensors: 1131,
    copied: 31,
    computed: 1100,
    reused: 0,
    cached: 0,
    readBytes: 4.2e9,
    digestBytes: 0,
    writeBytes: 2.13e9,
    skippedBytes: 1e6,
    operations: 9e9,
    jobs: 1131,
    programs: 3,
    sweeps: 2,
    peakMemory: 3.1e8,
    seconds: 12.3,
    workers: 1,
  },
  device: { name: 'cpu', title: undefined, reason: 'asked for', workers: 2, chunk: 0, memory: undefined, notes: [] },
}

const plain = { color: false, width: 80 }

describe('the plan as text', () => {
  it('says what goes in, what is done and why, what comes out, and what that costs', () => {
    expect(renderPlan(outline, plain)).toBe(`Plan of anime "detail", seed 42

Models
  base   sd15.safetensors           2.13 GB  1,131 tensors  Stable Diffusion 1
  anime  ../a/very/lo….safetensors  1.70 GB    686 tensors  unknown architecture

Steps, in order
  1  quarters  mask.fill   mask
     uses base
     used by blend
     taken over from the last build
     1,131 tensors
  2  blend     merge.dare  model
     uses base, anime, quarters.2
     used by merged
     never built before
     1,131 tensors: 1,100 merged, 29 missing, 2 constant

Outputs
  merged  build/anime\\u{1b}[31m.safetensors
     from blend: 1,131 tensors; F16 1,130, I64 1; 2.13 GB in 1 file

Reports
  coverage  build/mask.html
     from quarters: a report over 1,131 tensors

Work
  read          4.20 GB, in up to 2 passes over a tensor
  write         2.13 GB
  compute       1,100 tensors with 3 programs
  device        cpu; asked for
  time          about 12 s
  peak memory   about 310 MB with 1 worker
  not computed  31 tensors, copied as they are; 1.00 MB of the models not read
  not run       spare, which nothing uses
`)
  })

  it.each([80, 100, 160])('is at most %i columns wide', (width) => {
    for (const text of [renderPlan(outline, { ...plain, width }), renderPlanShort(outline, { ...plain, width })]) {
      expect(Math.max(...text.split('\n').map(widthOf))).toBeLessThanOrEqual(width)
    }
  })

  it('reads the same with colours', () => {
    expect(renderPlan(outline, { ...plain, color: true }).replace(/\u001b\[[\d;]*m/g, '')).toBe(
      renderPlan(outline, plain),
    )
  })

  it('tells what is taken over, remembered, left alone and read for its digest only', () => {
    const work = { ...outline.work, reused: 1, cached: 1234, digestBytes: 5e8 }
    const lines = renderPlan(
      { ...outline, outputs: [{ ...outline.outputs[0]!, kept: true }], work },
      { ...plain, width: 160 },
    ).split('\n')
    expect(lines).toContain('     from blend: 1,131 tensors, already up to date; F16 1,130, I64 1; 2.13 GB in 1 file')
    expect(lines.slice(lines.indexOf('Work') + 1)).toEqual([
      '  read          4.20 GB, in up to 2 passes over a tensor',
      '  hashing       500 MB of input data that is read only to hash it for the lock',
      '  write         2.13 GB',
      '  compute       1,100 tensors with 3 programs',
      '  device        cpu; asked for',
      '  time          about 12 s',
      '  peak memory   about 310 MB with 1 worker',
      '  reused        1 tensor from earlier builds',
      '  cached        1,234 thresholds and sums from earlier builds',
      '  not computed  31 tensors, copied as they are; 1.00 MB of the models not read',
      '  not run       spare, which nothing uses',
      '',
    ])
  })

  it('says which device it is for and why, how much of its memory it takes, and what the device does in a way of its own', () => {
    const device = {
      name: 'cuda:1',
      title: 'A GPU\u001b[31m',
      reason: 'asked for',
      workers: 4,
      chunk: 1 << 20,
      memory: { most: 3.2e9, free: 84.5e9 },
      notes: ['BF16 leave the device as float32, which takes more bandwidth; the CPU rounds them.'],
    }
    const lines = renderPlan({ ...outline, device }, { ...plain, width: 160 }).split('\n')
    expect(
      lines.slice(
        lines.findIndex((line) => line.startsWith('  device')),
        -5,
      ),
    ).toEqual([
      '  device        cuda:1 (A GPU\\u{1b}[31m); asked for',
      '  its memory    at most about 3.20 GB of 84.5 GB free, in chunks of 1,048,576 elements',
      '                BF16 leave the device as float32, which takes more bandwidth; the CPU rounds them.',
    ])
    expect(
      renderPlanShort({ ...outline, device }, { ...plain, width: 160 })
        .split('\n')
        .slice(-3),
    ).toEqual([
      'on cuda:1 (A GPU\\u{1b}[31m); asked for; at most about 3.20 GB of 84.5 GB free memory',
      'BF16 leave the device as float32, which takes more bandwidth; the CPU rounds them.',
      '',
    ])
  })

  it('is a few lines in short', () => {
    expect(renderPlanShort(outline, plain)).toBe(`anime "detail": 2 models, 2 steps, 2 outputs
  quarters  mask.fill   base                     1,131 tensors
  blend     merge.dare  base, anime, quarters.2  1,131 tensors
  -> merged    build/anime\\u{1b}[31m.safetensors  2.13 GB
  -> coverage  build/mask.html                     report
reads 4.20 GB, writes 2.13 GB, about 310 MB of memory with 1 worker, about 12 s
`)
  })
})

describe('the plan as a graph', () => {
  it('for Graphviz quotes every label and joins models, steps and outputs', () => {
    expect(renderDot(outline)).toBe(`digraph "anime \\"detail\\"" {
  rankdir=LR
  node [fontname="sans-serif"]
  n0 [shape=cylinder, label="base\\nsd15.safetensors\\n2.13 GB"]
  n1 [shape=cylinder, label="anime\\n../a/very/long/path/that/does/not/fit/into/eighty/columns/anime-v3.safetensors\\n1.70 GB"]
  n2 [shape=box, label="quarters\\nmask.fill\\n1,131 tensors"]
  n3 [shape=box, label="blend\\nmerge.dare\\n1,131 tensors"]
  o0 [shape=note, label="merged\\nbuild/anime\\\\u{1b}[31m.safetensors\\n2.13 GB"]
  r0 [shape=note, label="coverage\\nbuild/mask.html\\nreport"]
  n0 -> n2
  n0 -> n3
  n1 -> n3
  n2 -> n3 [label="quarters.2"]
  n3 -> o0
  n2 -> r0
}
`)
  })

  it('for Mermaid writes characters that mean something there as entities', () => {
    const path = 'a "b" [c] <d> #e; `f` | (g)'
    const lines = renderMermaid({ ...outline, outputs: [{ ...outline.outputs[0]!, path }] }).split('\n')
    expect(lines[0]).toBe('flowchart LR')
    expect(lines[5]).toBe(
      '  o0(["merged<br/>a #34;b#34; #91;c#93; #60;d#62; #35;e#59; #96;f#96; #124; #40;g#41;<br/>2.13 GB"])',
    )
    expect(lines.slice(6)).toEqual([
      '  r0(["coverage<br/>build/mask.html<br/>report"])',
      '  n0 --> n2',
      '  n0 --> n3',
      '  n1 --> n3',
      '  n2 -->|"quarters.2"| n3',
      '  n3 --> o0',
      '  n2 --> r0',
      '',
    ])
  })
})
