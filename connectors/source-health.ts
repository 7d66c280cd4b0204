import type pg from 'pg';
import { Failure } from '../runtime/error-codes.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { TableProgress } from './position.ts';
import { findSilentChanges, type SilentChange, type SourceFingerprint } from './source-fingerprint.ts';
import { assertRequirements, type Shortcoming } from './source-requirements.ts';
import { type CaptureOptions, readSource, type SourceState, toFingerprint } from './source-state.ts';

/**
 * Checks the source and returns its fingerprint. Throws if the source lacks something that a running connector needs,
 * or `source_changed` if data may have changed without an event since `accepted`. `onShortcoming` receives what would
 * keep a connector from starting.
 */
export async function inspectSource(
  client: pg.ClientBase,
  options: CaptureOptions,
  accepted: SourceFingerprint | undefined,
  onShortcoming: (shortcoming: Shortcoming) => void = () => undefined,
): Promise<SourceFingerprint | undefined> {
  const source = await readSource(client, options);
  for (const shortcoming of assertRequirements(source, options, true)) onShortcoming(shortcoming);
  const changes = listSilentChanges(source, accepted);
  if (changes.length > 0) throw toSourceChanged(changes, options);
  return toFingerprint(source, accepted) ?? undefined;
}

/** Changes without an event since `accepted`; empty if the source was never checked. */
export function listSilentChanges(source: SourceState, accepted: SourceFingerprint | undefined): SilentChange[] {
  const now = toFingerprint(source);
  if (accepted === undefined || now === null) return [];
  return findSilentChanges(
    accepted,
    now,
    (table, column) => source.tables[table]?.names?.[column - 1] || `column ${column}`,
  );
}

/** The error that lists the changes by table, with the remedy. */
export function toSourceChanged(changes: readonly SilentChange[], options: Pick<CaptureOptions, 'schema'>) {
  const byWhat = new Map<string, string[]>();
  for (const { what, table } of changes) byWhat.set(what, [...(byWhat.get(what) ?? []), table]);
  const causes = [...byWhat].map(
    ([what, tables]) => `${tables.map((table) => `${options.schema}.${table}`).join(', ')}: ${what}`,
  );
  return new CrosswalkError(toWayOn(changes), `Data may have changed without an event: ${causes.join('; ')}`);
}

/** The `source_changed` failure with the remedy for these changes. */
export function toWayOn(changes: readonly SilentChange[]): Failure {
  if (changes.some(({ heals }) => heals === 'anew')) return Failure.of('source_changed.anew');
  const tables = [...new Set(changes.map(({ table }) => table))].join(' ');
  const hasVanished = changes.some(({ heals }) => heals === 'vanished');
  return Failure.of(hasVanished ? 'source_changed.vanished' : 'source_changed.read_again', { tables });
}

/**
 * Progress of the initial load of tables that the last session captured. Tables that were not watched are read again
 * from the beginning.
 */
export function toCapturedProgress(
  progress: Readonly<Record<string, TableProgress>>,
  tables: readonly string[],
  accepted: SourceFingerprint | undefined,
): Readonly<Record<string, TableProgress>> {
  const isCaptured = (table: string) =>
    tables.includes(table) && (accepted === undefined || accepted.tables[table] !== undefined);
  return Object.fromEntries(Object.entries(progress).filter(([table]) => isCaptured(table)));
}
