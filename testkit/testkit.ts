// biome-ignore-all lint/performance/noBarrelFile: the entry point crosswalk/testkit
export { type CheckOptions, checkProjection } from './check-projection.ts';
export { type ExpectedRow, gone } from './compare-rows.ts';
export { type Examples, insert, type Key, type Keys, type LegacyChange, remove, update } from './legacy-tables.ts';
export {
  type ExpectedTables,
  type Given,
  type Outcome,
  type Projections,
  type Spec,
  type SpecOptions,
  spec,
} from './spec.ts';
