// Defines the rows that a rebuild from the log cannot restore. A drop is covered only by a backup that holds exactly
// these rows.

/**
 * State derived from the log, from the legacy tables, or from other rows: the components that maintain it recreate it.
 */
const DERIVED = new Set([
  ...['consumer_offset', 'contribution', 'merge_key', 'parked_change', 'history_state', 'log_position', 'lag_sample'],
  ...[
    'verification_run',
    'verification_count',
    'verification_difference',
    'verified',
    'migration',
    'phase_log',
    'upkeep',
    'adopted',
    'figures',
  ],
  ...['rebuild', 'rebuild_run', 'replayed_key', 'shadow'],
]);

/**
 * An SQL condition for the irreplaceable rows of a table; null if it can have none. Projected rows come from the log;
 * rows of the application (`origin = 'app'`) do not, nor do operators' decisions about dead letters. Unknown tables are
 * irreplaceable.
 */
export function irreplaceableRows(schema: string, table: string, columns: readonly string[]): string | null {
  if (schema.startsWith('crosswalk_shadow_')) return null;
  if (schema === 'crosswalk' && DERIVED.has(table)) return null;
  if (schema === 'crosswalk' && table === 'dead_letter') return `resolution LIKE 'discarded by %'`;
  if (['origin', 'mapping_version'].every((column) => columns.includes(column))) return `origin = 'app'`;
  return 'true';
}
