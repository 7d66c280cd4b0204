import type { PlannedStep } from '../../projectors/pipeline.ts';

/** The eight phases and the ten steps named in the two plans of this migration, and what implements each of them here: docs/phases.md, "The names of the plans". */
export const plan: readonly PlannedStep[] = [
  { name: 'phase-1', title: 'create new core tables', phase: 'schema' },
  { name: 'phase-2', title: 'modify existing tables', phase: 'schema' },
  { name: 'phase-3', title: 'create admin user setup', phase: 'schema' },
  { name: 'phase-4', title: 'data migration', phase: 'load' },
  { name: 'phase-5', title: 'update constraints', phase: 'schema' },
  { name: 'phase-6', title: 'create supporting tables', phase: 'schema' },
  { name: 'phase-7', title: 'performance optimization', phase: 'schema' },
  { name: 'phase-8', title: 'testing and validation', phase: 'verify' },
  { name: 'step-1', title: 'data integrity check', phase: 'prepare' },
  { name: 'step-2', title: 'backup creation', phase: 'backup' },
  { name: 'step-3', title: 'field addition', phase: 'schema' },
  { name: 'step-4', title: 'data migration', phase: 'load' },
  { name: 'step-5', title: 'constraint removal', phase: 'schema' },
  { name: 'step-6', title: 'new constraints', phase: 'schema' },
  { name: 'step-7', title: 'index creation', phase: 'schema' },
  { name: 'step-8', title: 'view creation', phase: 'schema' },
  { name: 'step-9', title: 'verification', phase: 'verify' },
  { name: 'step-10', title: 'cleanup', phase: 'verify' },
];
