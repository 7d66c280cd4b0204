import type pg from 'pg';
import type { Check } from '../../monitor/checks.ts';
import type { DdlOptions } from '../../schemas/ddl-retry.ts';
import type { Migration } from '../../schemas/migrations.ts';
import type { LogEntry, PhaseName } from '../../schemas/phase-log.ts';
import type { CommandContext } from '../context.ts';

/** What a run was asked for. */
export interface PhaseOptions {
  /** The last phase of the run. */
  readonly to: PhaseName;
  /** Where backups are written, each run's into a new folder in it; null: .crosswalk/backups. */
  readonly backupDir: string | null;
  /** An empty database to restore into for comparison; null: one is made beside the target, and dropped. */
  readonly restoreInto: string | null;
  readonly lockTimeoutMs: number;
  /** How long the load phase waits; null: until it is done. */
  readonly waitSeconds: number | null;
  /** Why a drop needs no backup; null: it does. */
  readonly withoutBackup: string | null;
}

/** What every phase is given. The sessions are those of the owners. */
export interface PhaseRun {
  readonly context: CommandContext;
  /** Of the target database, in the order of application. */
  readonly migrations: readonly Migration[];
  readonly target: pg.Client;
  readonly legacy: pg.Client;
  readonly options: PhaseOptions;
  readonly runId: string;
  /** How DDL takes its locks on either side. */
  readonly ddl: (database: 'target' | 'legacy') => DdlOptions;
  /** The log as it is now. */
  readonly entries: () => Promise<LogEntry[]>;
  /** Whether a machine reads the output: one JSON document at the end. */
  readonly isJson: boolean;
  readonly say: (line: string) => void;
  /** Shows long work; silent where a machine reads the output. */
  readonly progress: (label: string, total: number) => { update(done: number, total?: number): void; close(): void };
}

/** Statements for one of the databases, for a plain client that sends one at a time. */
export interface Section {
  readonly database: 'target' | 'legacy';
  readonly title: string;
  readonly sql: string;
}

/** What would be done. `isNeeded` false: nothing. */
export interface PhasePlan {
  readonly isNeeded: boolean;
  readonly sections: readonly Section[];
  /** What is done besides, in words. */
  readonly notes: readonly string[];
}

/** Numbers by what they count: a table, a publication. */
export type Counts = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Counts before and after the work, and what it answered with. */
export interface Outcome {
  readonly before: Counts;
  readonly after: Counts;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** One way through a phase: to do it, or to take it back. Everything but `work` only reads. */
export interface Direction {
  /** What must hold before: a failing check is a no-go. */
  readonly check: (run: PhaseRun) => Promise<Check[]>;
  readonly plan: (run: PhaseRun) => Promise<PhasePlan>;
  readonly count: (run: PhaseRun) => Promise<Counts>;
  /** What is kept in the log before the work begins, for a rollback to return to. */
  readonly remember?: (run: PhaseRun) => Promise<unknown>;
  /** Does it, as often as it is called: what is done already stays as it is. Returns what the log keeps of it. */
  readonly work: (run: PhaseRun) => Promise<Readonly<Record<string, unknown>>>;
  /** What must hold afterwards. */
  readonly confirm: (run: PhaseRun, outcome: Outcome) => Promise<Check[]>;
  /** Whether a person is asked before it. */
  readonly asks: boolean;
  /** Whether it changes the new schema or its rows: a verified backup of them is made before, where none holds what is there. */
  readonly backsUp?: boolean;
}

/** A phase of the migration. */
export interface Phase {
  readonly name: PhaseName;
  /** One line each: what it does, and what its rollback does. */
  readonly summary: string;
  readonly rollbackSummary: string;
  readonly forward: Direction;
  /** Null: it leaves nothing behind. */
  readonly back: Direction | null;
}

/** Schemas of the target database that are crosswalk's affair. */
export function schemasOf({ context: { config } }: Pick<PhaseRun, 'context'>): string[] {
  return [config.targetSchema, 'crosswalk'];
}

export const nothingToDo: PhasePlan = { isNeeded: false, sections: [], notes: [] };
