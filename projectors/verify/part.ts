import type pg from 'pg';
import type { Findings } from './findings.ts';
import type { Looks } from './looks.ts';
import type { Pace } from './pace.ts';
import type { PartProgress } from './run-store.ts';

/** What every part of a verification is given: the sides, where it goes on, and where its findings go. */
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
  /** So many rows more are compared, and what is found is noted. */
  onProgress: (rows: number, progress: PartProgress) => Promise<void>;
}
