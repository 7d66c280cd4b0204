import type pg from 'pg';
import { parseLsn, toLsnText } from '../changes/lsn.ts';
import type { Config } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import { amendPosition } from './connect.ts';
import type { Position } from './position.ts';
import type { SilentChange, SourceFingerprint } from './source-fingerprint.ts';
import { listSilentChanges, toWayOn } from './source-health.ts';
import { assertRequirements } from './source-requirements.ts';
import { captureOf, readSource, toFingerprint } from './source-state.ts';

/** How long to wait for a connector that holds the slot. One that fails at every start releases it in between. */
const SLOT_WAIT_MS = 30_000;

/**
 * Accepts the source as it is now and makes the next connector read tables again from the beginning: those named, or
 * those that changed without an event. `accept`: reads nothing again. `skip`: skips everything committed so far that is
 * not in the log, and reads every table again. Throws if a changed table is left out. Returns the tables and the
 * changes.
 */
export async function requestResnapshot(
  config: Config,
  options: { tables: readonly string[]; accept: boolean; skip?: boolean; log: Log; signal: AbortSignal },
): Promise<{ tables: readonly string[]; changes: readonly SilentChange[] }> {
  const named = [...new Set(options.tables)];
  const unknown = named.filter((table) => !config.tables.includes(table));
  if (unknown.length > 0)
    throw new CrosswalkError('table_missing.not_captured', `Not captured: ${unknown.join(', ')}`, {
      tables: config.tables.join(', '),
    });
  const capture = captureOf(config);
  const late = AbortSignal.timeout(SLOT_WAIT_MS);
  const signal = AbortSignal.any([options.signal, late]);
  let answer: { tables: readonly string[]; changes: readonly SilentChange[] } | null = null;
  try {
    await amendPosition(
      config,
      async (stored, control) => {
        if (stored === null) throw new CrosswalkError('position_mismatch.none', 'No position is stored yet');
        const source = await readSource(control, capture);
        assertRequirements(source, capture);
        const changes = listSilentChanges(source, stored.source);
        const changed = [...new Set(changes.map(({ table }) => table))];
        const left = named.length === 0 ? [] : changed.filter((table) => !named.includes(table));
        if (changes.some(({ heals }) => heals === 'anew') || left.length > 0)
          throw new CrosswalkError(
            left.length > 0 ? 'source_changed.left_out' : toWayOn(changes),
            left.length > 0
              ? `Also changed without an event: ${left.join(', ')}`
              : changes.map(({ table, what }) => `${table}: ${what}`).join('; '),
          );
        const tables = options.skip ? config.tables : named.length === 0 ? changed : named;
        answer = { tables, changes };
        const end = await readEnd(control);
        const columns = (table: string) => (source.tables[table]?.names ?? []).filter((name) => name !== '');
        const position = toReread(stored, { tables, columns, accept: options.accept, end: end.lsn });
        // Columns dropped from a table that is read again are gone from its rows in the log too.
        const before = options.accept ? stored.source : withoutTables(stored.source, tables);
        const amended = { ...position, source: toFingerprint(source, before)! };
        if (options.skip !== true) return { position: amended, movesSlot: false };
        const { last: ___, ...skipped } = amended;
        return {
          position: { ...skipped, lsn: end.flushed, sourceMicros: end.micros, unseenXids: [] },
          movesSlot: true,
        };
      },
      { log: options.log, signal },
    );
  } catch (error) {
    if (!late.aborted || options.signal.aborted) throw error;
    throw new CrosswalkError('slot_busy.stop', `A connector has slot ${config.slot}`, { cause: error });
  }
  return answer!;
}

/** Insert and flush position of the server's WAL, and the time, in microseconds since 1970. */
async function readEnd(control: pg.ClientBase): Promise<{ lsn: bigint; flushed: bigint; micros: bigint }> {
  const { rows } = await control.query<Record<'lsn' | 'flushed' | 'micros', string>>(
    `SELECT pg_current_wal_insert_lsn()::text AS lsn, pg_current_wal_flush_lsn()::text AS flushed, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text AS micros`,
  );
  const { lsn, flushed, micros } = rows[0]!;
  return { lsn: parseLsn(lsn), flushed: parseLsn(flushed), micros: BigInt(micros) };
}

/** The position after which tables are read again; with `accept`, only the record of their columns is reset. */
function toReread(
  stored: Position,
  options: { tables: readonly string[]; columns: (table: string) => readonly string[]; accept: boolean; end: bigint },
): Omit<Position, 'offsets' | 'source'> {
  const { tables, columns, accept, end } = options;
  const { offsets: _, source: __, ...rest } = stored;
  const without = <T>(values: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(values).filter(([table]) => !tables.includes(table)));
  const told = {
    ...stored.told,
    ...Object.fromEntries(tables.map((table) => [table, { now: columns(table), gone: [] }])),
  };
  if (accept) return { ...rest, told };
  const reread = { ...stored.reread, ...Object.fromEntries(tables.map((table) => [table, toLsnText(end)])) };
  return { ...rest, told, reread, snapshot: without(stored.snapshot) };
}

function withoutTables(
  source: SourceFingerprint | undefined,
  tables: readonly string[],
): SourceFingerprint | undefined {
  if (source === undefined) return undefined;
  const left = Object.entries(source.tables).filter(([table]) => !tables.includes(table));
  return { ...source, tables: Object.fromEntries(left) };
}
