import type pg from 'pg';
import type { Findings } from './findings.ts';
import type { Looks } from './looks.ts';
import type { Pace } from './pace.ts';
import type { PartProgress } from './run-store.ts';

/** Input of every part of a verification: both sides, its start position, and the receivers of its findings. */
export interface PartOptions {
  legacy: pg.ClientBase;
  target: pg.ClientBase;
  /** Only rows of this tenant. */
  tenant: string | null;
  from: PartProgress;
  findings: Findings;
  looks: Looks;
  pace: Pace;
  signal: AbortSignal;
  /** Reports that this many more rows are compared and their findings recorded. */
  onProgress: (rows: number, progress: PartProgress) => Promise<void>;
}
