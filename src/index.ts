export {
  build,
  makePlan,
  openAdapter,
  openAdapters,
  openModel,
  openModels,
  openStore,
  parse,
  plan,
  prepare,
  readRecipe,
  run,
  verify,
} from './library.js'
export type { BuildOptions, PlanNowOptions, RunOptions, VerifyOptions } from './library.js'
export type { Diagnostic, Place, Range, Source } from './base/diagnostic.js'
export { exitCode } from './base/diagnostic.js'
export type { Result } from './base/result.js'
export { renderDiagnostics } from './base/screen.js'
export { operators } from './operators/index.js'
export type { ReportDocument, ReportFormat } from './operators/report-document.js'
export type { Plan } from './plan/plan.js'
export type { Recipe } from './recipe/recipe.js'
export type { RunEvent } from './run/events.js'
export type { Prepared } from './run/prepare.js'
export type { RenderReport } from './run/reports.js'
export type { Built } from './run/options.js'
export type { Verification } from './run/verify.js'
export type { AdapterFile } from './safetensors/adapter-file.js'
export type { Model } from './safetensors/model.js'
export { lockPath, readLock, type Lock } from './store/lock.js'
export type { Store } from './store/store.js'
