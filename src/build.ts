import type { Result } from './base/result.js'
import type { Plan } from './plan/plan.js'
import { build as buildWith, type BuildOptions } from './run/build.js'
import { run as runWith } from './run/run.js'
import type { Built, RunOptions } from './run/options.js'
import { renderReport } from './view/report/render.js'

/** Builds a recipe: reads, plans, checks pins, computes, and writes its outputs, all of them or none. Reports look as those of the command. */
export const build = (path: string, options: BuildOptions = {}): Promise<Result<Built>> => buildWith(path, { render: renderReport, ...options })

/** Carries a plan out: all files under temporary names, then all under their own, or none. Reports look as those of the command. */
export const run = (plan: Plan, options: RunOptions): Promise<Result<Built>> => runWith(plan, { render: renderReport, ...options })
