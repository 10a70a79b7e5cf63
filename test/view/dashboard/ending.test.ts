import { describe, expect, it } from 'vitest'
import { renderEnding } from '#src/view/dashboard/ending.js'
import {
  ended,
  failed,
  finished,
  locked,
  made,
  memory,
  planned,
  reported,
  started,
  tensorDone,
  units,
  warned,
  written,
} from './support.js'

const look = { color: false, width: 80 }
const all = [
  made,
  warned,
  started,
  planned,
  units(0, 0, 1, 1),
  memory(1),
  tensorDone(3, 1, 'reused'),
  written,
  reported,
  locked,
  finished,
  ended,
]

describe('what a build that is watched leaves in the scrollback', () => {
  it('is its problems, what was written, how large, its digest, how the lock changed, how long it took and how fast it was', () => {
    expect(renderEnding(all, look, 9)).toBe(
      `warning[unused-step]: step \`spare\` is not used
 --> recipe.yaml:7:3
help: remove it

wrote build/anime-detail.safetensors  1.00 GB, 4 tensors
      blake3:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
wrote build/mask.html  12.3 kB, a report
wrote recipe.lock.json  step blend has another fingerprint; output merged has another digest
done in 9.0 s: read 3.00 GB and wrote 1.00 GB of tensors, 500 MB/s; reused 1 tensor and 3 thresholds and sums from earlier builds; peak memory 350 MB
`,
    )
  })

  it('says when an output is unchanged', () => {
    const kept = { ...written, type: 'output-kept' } as typeof written
    expect(renderEnding([started, kept, finished], look, 9)).toMatch(/^unchanged build\/anime-detail/)
  })

  it('is the problems alone for a build that failed', () => {
    expect(renderEnding([made, warned, started, failed, ended], look, 9)).toMatch(
      /^warning\[unused-step\][^]*help: remove it\n\n$/,
    )
  })

  it('lets nothing that the events hold drive the terminal', () => {
    const evil = {
      ...warned,
      diagnostic: {
        ...(warned as typeof warned & { readonly type: 'problem-found' }).diagnostic,
        message: 'a\u001b[2Jb',
        help: '\u001b]0;x\u0007',
      },
    } as typeof warned
    expect(renderEnding([evil], look, 9)).not.toContain('\u001b')
  })
})
