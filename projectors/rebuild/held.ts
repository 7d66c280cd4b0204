// The effect of a merge on parked changes and dead letters, as SQL conditions. The report counts with the same conditions that the merge uses.
import { quoteLiteral as literal } from '../../schemas/quote.ts';
import { inShadow, type Side } from './compare-sql.ts';

const sameRecord = (a: string, b: string) =>
  ['projection', 'topic', 'partition', 'record_offset']
    .map((column) => `${a}.${column} = ${b}.${column}`)
    .join(' AND ');
const sameKey = (a: string, b: string) => `${a}.projection = ${b}.projection AND ${a}.legacy_key = ${b}.legacy_key`;

/** Whether a parked change of the live tables will no longer be parked. In a partial rebuild, changes of rows that were not replayed stay parked. */
export const isNoLongerWaiting = (x: string, side: Side) =>
  `${isReplayed(x, side)} AND NOT EXISTS (SELECT FROM ${inShadow('parked_change', side)} s WHERE ${sameRecord('s', x)})`;

/** Whether a parked change of the shadow becomes a parked change of the live tables. Dead letters and discarded changes there stay as they are. */
export const isNewlyWaiting = (s: string) =>
  `NOT EXISTS (SELECT FROM crosswalk.parked_change p WHERE ${sameRecord('p', s)})
   AND NOT EXISTS (SELECT FROM crosswalk.dead_letter d WHERE ${sameRecord('d', s)} AND (d.resolved_at IS NULL OR d.resolution LIKE 'discarded %'))`;

/**
 * Whether an open dead letter of the live tables will no longer be open. A partial rebuild does not try dead letters from before its start. Such a
 * letter is superseded if a later version of its row was applied. In a history each change counts by itself, so it stays open.
 */
export function isNoLongerOpen(x: string, side: Side): string {
  const fails = (table: string, condition: string) =>
    `EXISTS (SELECT FROM ${inShadow(table, side)} s WHERE ${condition}${table === 'dead_letter' ? ' AND s.resolved_at IS NULL' : ''})`;
  const isOvertaken = `NOT ${isOfHistory(x, side)} AND NOT ${fails('dead_letter', sameKey('s', x))} AND NOT ${fails('parked_change', sameKey('s', x))}`;
  return `${x}.resolved_at IS NULL AND ${isReplayed(x, side)} AND NOT ${fails('dead_letter', sameRecord('s', x))} AND NOT ${fails('parked_change', sameRecord('s', x))}
    AND (NOT ${isBeforeStart(x, side)} OR ${isOvertaken})`;
}

/** Whether a dead letter of the shadow becomes one of the live tables. */
export const isNewlyOpen = (s: string) =>
  `${s}.resolved_at IS NULL AND NOT EXISTS (SELECT FROM crosswalk.dead_letter d WHERE ${sameRecord('d', s)})`;

function isReplayed(x: string, side: Side): string {
  return side.partial ? `EXISTS (SELECT FROM ${inShadow('replayed_key', side)} k WHERE ${sameKey('k', x)})` : 'true';
}

function isBeforeStart(x: string, { starts }: Side): string {
  return `EXISTS (SELECT FROM jsonb_to_recordset(${literal(JSON.stringify(starts))}) AS b (projection text, partition integer, "offset" bigint)
    WHERE b.projection = ${x}.projection AND b.partition = ${x}.partition AND ${x}.record_offset < b."offset")`;
}

function isOfHistory(x: string, { histories }: Side): string {
  return histories.length === 0 ? 'false' : `${x}.projection IN (${histories.map(literal).join(', ')})`;
}
