// biome-ignore-all lint/performance/noBarrelFile: what people import as crosswalk
// What a pipeline of one's own is written with. Everything that is not here may change with any version.

export type { TransactionContext } from './changes/transaction-context.ts';
export { loadProjections } from './projectors/load-projections.ts';
export {
  type Checks,
  type DevelopmentData,
  definePipeline,
  type LegacyTotal,
  type Oracle,
  type Pipeline,
  type PlannedStep,
  type Sample,
  type SampleReport,
  type SampleTraffic,
  type Smoke,
  type SmokeStep,
  type TargetCheck,
  type TargetNote,
  type TenantHint,
  type TenantSource,
} from './projectors/pipeline.ts';
export type {
  Aggregate,
  Cell,
  Choice,
  Contribution,
  FoldedRow,
  FoldNeeds,
  History,
  Implied,
  LegacyRow,
  NewRow,
  OwnedTarget,
  Projection,
  StateChange,
  TenantSettings,
  Tenants,
} from './projectors/projection.ts';
export { defineHistory, defineProjection } from './projectors/projection.ts';
export { cellOf, copyOf, filledCellOf, toOthers, toTenantId, unassignedTenant } from './projectors/values/cell.ts';
export {
  cellsOf,
  earliestOf,
  firstFilled,
  greatestOf,
  lastRetired,
  lastRetiredOf,
  latestCommitOf,
  toGreatestFirst,
} from './projectors/values/contribution-order.ts';
export { JsonNumber, type JsonObject, type JsonValue, parseJson } from './projectors/values/json.ts';
export { joinJsonbObject, toJsonbText, toSortedKeys, toTextInJson } from './projectors/values/json-text.ts';
export {
  hasDigitsWithin,
  isFiniteNumeric,
  isZero,
  multiply,
  parseNumeric,
  toInt4,
} from './projectors/values/numeric.ts';
export { Rejects, rejectsTarget, toFiniteNumber } from './projectors/values/rejects.ts';
export {
  compareBytes,
  has,
  hasWhiteSpace,
  toLowerCase,
  toNormalisedAddress,
  toNormalisedName,
  toStatusText,
  trim,
  utf8Length,
} from './projectors/values/text.ts';
export { compareTimestamps, compareTimestampsNullsFirst, earliest, latest } from './projectors/values/timestamp.ts';
export { uuid5 } from './projectors/values/uuid5.ts';
