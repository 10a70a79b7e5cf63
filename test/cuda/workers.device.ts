import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { modelOf } from './kernel-model.js'
import { cudaMissing, devices } from './real-provider.js'

const ROUNDS = 200
const WORKERS = 2

/** A process whose threads all run a session of CUDA's provider at once, and of which each ends by itself. */
const PROCESS = `
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
const { readFileSync } = require('node:fs')
if (isMainThread) {
  const { koffi, libraries, workers } = JSON.parse(process.argv[2])
  globalThis.loaded = libraries.map((library) => require(koffi).load(library, { global: true }))
  const start = new Int32Array(new SharedArrayBuffer(4))
  let ready = 0
  for (let i = 0; i < workers; i++) {
    const worker = new Worker(__filename, { workerData: { ...JSON.parse(process.argv[2]), start } })
    worker.on('message', (text) => {
      console.log(text)
      if (text !== 'ready' || ++ready < workers) return
      Atomics.store(start, 0, 1)
      Atomics.notify(start, 0)
    })
    worker.on('error', (error) => console.log(String(error)))
    worker.on('exit', (code) => console.log('exit ' + code))
  }
} else {
  const { ort: path, model, rounds, start } = workerData
  const ort = require(path)
  const run = async () => {
    const session = await ort.InferenceSession.create(readFileSync(model), { executionProviders: ['cuda'], intraOpNumThreads: 1, logSeverityLevel: 4, extra: { session: { disable_cpu_ep_fallback: '1' } } })
    parentPort.postMessage('ready')
    Atomics.wait(start, 0, 0)
    const x = new ort.Tensor('float32', new Float32Array(1 << 16), [1 << 16])
    for (let i = 0; i < rounds; i++) await session.run({ x0: x, x1: x })
    await session.release()
  }
  run().then(() => parentPort.postMessage('done'), (error) => parentPort.postMessage(String(error)))
}
`

const runProcess = (
  file: string,
  options: object,
): Promise<{ readonly code: number | null; readonly said: readonly string[] }> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, said: text.trim().split('\n').toSorted() }))
  })

describe.skipIf(cudaMissing !== undefined)('over the real provider for CUDA', () => {
  test('two workers run a session each at once, and end cleanly', async () => {
    if ('missing' in devices.cuda) return
    const folder = mkdtempSync(join(tmpdir(), 'smelt-workers-'))
    try {
      const { resolve } = createRequire(join(devices.tree, 'package.json'))
      const [file, model] = [join(folder, 'process.cjs'), join(folder, 'model.onnx')]
      writeFileSync(file, PROCESS)
      writeFileSync(model, modelOf('Add f32,f32'))
      const ended = await runProcess(file, {
        koffi: resolve('koffi'),
        ort: resolve('onnxruntime-node'),
        libraries: devices.cuda.libraries,
        model,
        rounds: ROUNDS,
        workers: WORKERS,
      })
      expect(ended).toEqual({
        code: 0,
        said: ['done', 'ready', 'exit 0'].flatMap((text) => Array<string>(WORKERS).fill(text)).toSorted(),
      })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
