import { existsSync } from 'node:fs'
import { relative } from 'node:path'
import { expect, test } from 'vitest'
import { blake3, toDigest } from '#src/base/digest.js'
import { completePlan } from '#src/plan/complete-plan.js'
import type { Plan } from '#src/plan/plan.js'
import { reasonsOf } from '#src/plan/reasons.js'
import { loadPriorState } from '#src/run/load-prior-state.js'
import { draft } from '#src/run/prepare.js'
import { readLock } from '#src/store/lock.js'
import { openStore } from '#src/store/store.js'
import { renderReport } from '#src/view/report/render.js'
import { inlineWorker } from '../support/inline-worker.js'
import { randomProject } from './random-project.js'
import { withBuildFixture, type BuildFixture } from './build-fixture.js'

const LOCK = 'recipe.lock.json'
const OPTIONS = { render: renderReport }

/** What `smelt plan` would say: nothing is read for it. */
const planNow = async (shop: BuildFixture): Promise<Plan> => {
  const drafted = await draft(shop.at('recipe.yaml'))
  if (drafted.type === 'failed') throw new Error(drafted.diagnostics.map((d) => d.message).join('\n'))
  const known = await loadPriorState(drafted.value.draft, openStore(shop.storeFolder), 'never', {
    workers: 1,
    device: 'cpu',
    start: inlineWorker,
  })
  if (known.type === 'failed') throw new Error('what earlier builds left cannot be read')
  return completePlan(drafted.value.draft, known.value)
}

/** What a plan has to do, tensor by tensor and file by file. */
const workOf = (plan: Plan): readonly string[] =>
  [
    ...plan.jobs.flatMap((job) => job.targets.map((t) => `compute ${t.tensor} of ${t.path}`)),
    ...plan.jobs.flatMap((job) => job.copies.map((c) => `copy ${c.to.tensor} to ${c.to.path}`)),
    ...plan.jobs.flatMap((job) => (job.sweeps?.passes ?? []).map((_, i) => `sweep ${job.tensor} ${i}`)),
    ...plan.reports.filter((r) => !r.kept).map((r) => `draw ${r.path}`),
  ].sort()

const digestsOf = (names: readonly string[], contents: readonly Uint8Array[]): Readonly<Record<string, string>> =>
  Object.fromEntries(names.map((name, i) => [name, toDigest(blake3(contents[i]!))]))

/** Tests of some random projects, each edited so often. */
export const testEdits = (projects: readonly number[], edits: number): unknown =>
  test.each(projects.map((n) => `project ${n}`))(
    `%s has the bytes of a build from nothing after each of ${edits} edits`,
    (seed) =>
      withBuildFixture(async (shop) => {
        const project = randomProject(seed)
        await project.write(shop)
        let what = 'as it began'
        for (let edit = 0; edit <= edits; edit++) {
          const at = `edit ${edit}: ${what}\n${project.recipe()}`
          shop.write(project.recipe())
          const before = existsSync(shop.at(LOCK)) ? await readLock(shop.at(LOCK)) : undefined
          const planned = await planNow(shop)
          const built = await shop.build(project.recipe(), OPTIONS)
          if (built.result.type === 'failed')
            throw new Error(`${built.result.diagnostics.map((d) => d.message).join('\n')}\n${at}`)
          expect(built.codes, at).not.toContain('reuse-broken')

          const { outputs, reports, lock } = built.result.value
          const files = [...outputs.flatMap((o) => o.paths), ...reports.map((r) => r.path)].map((path) =>
            relative(shop.folder, path),
          )
          const names = lock === undefined ? files : [...files, LOCK]
          expect(digestsOf(names, shop.read(...names)), at).toEqual(
            digestsOf(names, await shop.fresh(project.recipe(), names, OPTIONS)),
          )

          // What plan says is what build does; where the contents of an input have to be read first, it may turn out to
          // be less.
          const isKnown = planned.settings.every((s) =>
            [...s.inputs.values()].every(({ file }) =>
              [...file.tensors.values()].every((t) => t.begin === t.end || planned.digestOf(t) !== undefined),
            ),
          )
          const [said, done] = [workOf(planned), workOf(built.plan!)]
          if (isKnown) expect(done, at).toEqual(said)
          else
            expect(
              done.filter((work) => !said.includes(work) && !work.startsWith('copy')),
              at,
            ).toEqual([])
          // Whatever runs has a reason that can be told, unless it is that a file is not where it was.
          const unexplained = built.plan!.steps.filter((s) =>
            reasonsOf(built.plan!, before?.type === 'ok' ? before.value : undefined)(s).some((r) => r.type === 'lost'),
          )
          if (!/ is gone$|^a path: |^a format: /.test(what))
            expect(
              unexplained.map((s) => s.name),
              at,
            ).toEqual([])

          expect(workOf(await planNow(shop)), `afterwards, ${at}`).toEqual([])
          what = await project.edit(shop)
        }
      }),
  )
