import type pg from 'pg';
import type { Check } from '../../monitor/checks.ts';
import type { DdlOptions } from '../../schemas/ddl-retry.ts';
import type { Migration } from '../../schemas/migrations.ts';
import type { LogEntry, PhaseName } from '../../schemas/phase-log.ts';
import type { CommandContext } from '../context.ts';

/** Options of a run. */
export interface PhaseOptions {
  /** The last phase of the run. */
  readonly to: PhaseName;
  /** Folder of backups, in which each run creates a new folder; null: .crosswalk/backups. */
  readonly backupDir: string | null;
  /** An empty database to restore into for comparison; null: one is created beside the target and dropped. */
  readonly restoreInto: string | null;
  readonly lockTimeoutMs: number;
  /** How long the load phase waits; null: until it is done. */
  readonly waitSeconds: number | null;
  /** Why a drop requires no backup; null: it does. */
  readonly withoutBackup: string | null;
}

/** Input of every phase. The sessions are those of the owners. */
export interface PhaseRun {
  readonly context: CommandContext;
  /** Migrations of the target database, in order of application. */
  readonly migrations: readonly Migration[];
  readonly target: pg.Client;
  readonly legacy: pg.Client;
  readonly options: PhaseOptions;
  readonly runId: string;
  /** Lock options for DDL in either database. */
  readonly ddl: (database: 'target' | 'legacy') => DdlOptions;
  /** Reads the current log. */
  readonly entries: () => Promise<LogEntry[]>;
  /** Whether the output is for a machine: one JSON document at the end. */
  readonly isJson: boolean;
  readonly say: (line: string) => void;
  /** Shows the progress of long work; silent if the output is for a machine. */
  readonly progress: (label: string, total: number) => { update(done: number, total?: number): void; close(): void };
}

/** Statements for one of the databases, for a plain client that sends one at a time. */
export interface Section {
  readonly database: 'target' | 'legacy';
  readonly title: string;
  readonly sql: string;
}

/** What a phase would do. `isNeeded` false: nothing. */
export interface PhasePlan {
  readonly isNeeded: boolean;
  readonly sections: readonly Section[];
  /** Other actions, in words. */
  readonly notes: readonly string[];
}

/** Counts by subject: a table, a publication. */
export type Counts = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Counts before and after the work, and its result. */
export interface Outcome {
  readonly before: Counts;
  readonly after: Counts;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** One direction of a phase: run or rollback. Everything but `work` only reads. */
export interface Direction {
  /** Preconditions: a failing check is a no-go. */
  readonly check: (run: PhaseRun) => Promise<Check[]>;
  readonly plan: (run: PhaseRun) => Promise<PhasePlan>;
  readonly count: (run: PhaseRun) => Promise<Counts>;
  /** State to log before the work begins, for a rollback to restore. */
  readonly remember?: (run: PhaseRun) => Promise<unknown>;
  /** Does the work. Idempotent: finished parts stay as they are. Returns details for the log. */
  readonly work: (run: PhaseRun) => Promise<Readonly<Record<string, unknown>>>;
  /** Postconditions. */
  readonly confirm: (run: PhaseRun, outcome: Outcome) => Promise<Check[]>;
  /** Whether it requires a confirmation. */
  readonly asks: boolean;
  /** Whether it changes the new schema or its rows. Then a verified backup of them is made first, unless one already holds them. */
  readonly backsUp?: boolean;
}

/** A phase of the migration. */
export interface Phase {
  readonly name: PhaseName;
  /** One line each: what the phase does, and what its rollback does. */
  readonly summary: string;
  readonly rollbackSummary: string;
  readonly forward: Direction;
  /** Null: there is nothing to roll back. */
  readonly back: Direction | null;
}

/** Schemas of the target database that crosswalk manages. */
export function schemasOf({ context: { config } }: Pick<PhaseRun, 'context'>): string[] {
  return [config.targetSchema, 'crosswalk'];
}

export const nothingToDo: PhasePlan = { isNeeded: false, sections: [], notes: [] };
