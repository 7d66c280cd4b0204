// What a rebuild from the log cannot bring back. A drop is only covered by a backup that holds exactly these rows.

/** State that follows from the log, from the legacy tables, or from the rows beside it: it is made anew by those who keep it. */
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
 * An SQL condition for the rows of a table that nothing can bring back; null where there are none by nature. Projected rows come from the log: those of the application
 * (`origin = 'app'`) do not, nor do people's decisions about dead letters. What is not known here is irreplaceable.
 */
export function irreplaceableRows(schema: string, table: string, columns: readonly string[]): string | null {
  if (schema.startsWith('crosswalk_shadow_')) return null;
  if (schema === 'crosswalk' && DERIVED.has(table)) return null;
  if (schema === 'crosswalk' && table === 'dead_letter') return `resolution LIKE 'discarded by %'`;
  if (['origin', 'mapping_version'].every((column) => columns.includes(column))) return `origin = 'app'`;
  return 'true';
}
