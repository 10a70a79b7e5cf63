// A thread that answers every task at once.
import { parentPort } from 'node:worker_threads'
import { answer } from './pretended.mjs'

parentPort.on('message', (task) => {
  if (task === undefined) parentPort.close()
  else parentPort.postMessage(answer(task))
})
