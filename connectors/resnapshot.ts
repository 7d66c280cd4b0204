import type { Config } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import { amendPosition } from './connect.ts';
import type { SilentChange } from './source-fingerprint.ts';
import { listSilentChanges, toRemedy } from './source-health.ts';
import { assertRequirements } from './source-requirements.ts';
import { captureOf, readSource, toFingerprint } from './source-state.ts';

/** How long a connector that has the slot is waited for. One that fails at every start lets go of it in between. */
const SLOT_WAIT_MS = 30_000;

/**
 * Accepts the source as it is now, and has the next connector read tables again from their beginning: those named, or those that changed without an event.
 * `accept`: reads nothing again. Refuses to leave a changed table out. Answers with the tables and with what changed.
 */
export async function requestResnapshot(
  config: Config,
  options: { tables: readonly string[]; accept: boolean; log: Log; signal: AbortSignal },
): Promise<{ tables: readonly string[]; changes: readonly SilentChange[] }> {
  const named = [...new Set(options.tables)];
  const unknown = named.filter((table) => !config.tables.includes(table));
  if (unknown.length > 0)
    throw new CrosswalkError(
      'table_missing',
      `Not captured: ${unknown.join(', ')}`,
      `Name tables of CROSSWALK_TABLES: ${config.tables.join(', ')}.`,
    );
  const capture = captureOf(config);
  const late = AbortSignal.timeout(SLOT_WAIT_MS);
  const signal = AbortSignal.any([options.signal, late]);
  let answer: { tables: readonly string[]; changes: readonly SilentChange[] } | null = null;
  try {
    await amendPosition(
      config,
      async (stored, control) => {
        if (stored === null)
          throw new CrosswalkError(
            'position_mismatch',
            'No position is stored yet',
            'Start the connector: it reads every table.',
          );
        const source = await readSource(control, capture);
        assertRequirements(source, capture);
        const changes = listSilentChanges(source, stored.source);
        const changed = [...new Set(changes.map(({ table }) => table))];
        const left = named.length === 0 ? [] : changed.filter((table) => !named.includes(table));
        if (changes.some(({ heals }) => heals === 'anew') || left.length > 0)
          throw new CrosswalkError(
            'source_changed',
            left.length > 0
              ? `Also changed without an event: ${left.join(', ')}`
              : changes.map(({ table, what }) => `${table}: ${what}`).join('; '),
            left.length > 0 ? 'Name them too, or name none.' : toRemedy(changes),
          );
        const tables = named.length === 0 ? changed : named;
        answer = { tables, changes };
        const { offsets: _, source: __, ...rest } = stored;
        const snapshot = options.accept
          ? stored.snapshot
          : Object.fromEntries(Object.entries(stored.snapshot).filter(([table]) => !tables.includes(table)));
        return { ...rest, snapshot, source: toFingerprint(source)! };
      },
      { log: options.log, signal },
    );
  } catch (error) {
    if (!late.aborted || options.signal.aborted) throw error;
    throw new CrosswalkError(
      'slot_busy',
      `A connector has slot ${config.slot}`,
      'Stop it first, and start it afterwards.',
      error,
    );
  }
  return answer!;
}
