import { toLsnText } from '../../changes/lsn.ts';
import type { Config } from '../../runtime/config.ts';
import { toFindings } from '../findings.ts';
import { toTotalLag } from '../lag.ts';
import type { PipelineState } from '../pipeline-state.ts';
import type { ConfirmationKind, GateFacts, VerifiedTable } from './gate-facts.ts';
import { confirmationKinds, LAG_WINDOW_SECONDS } from './gate-facts.ts';
import type { LagSample } from './lag-samples.ts';

/** One line of the checklist: what it found, and for no-go the next step. `shown`: for people; it neither passes nor fails. */
export interface GateLine {
  readonly name: string;
  readonly state: 'go' | 'no-go' | 'shown';
  readonly what: string;
  readonly next: string | null;
}

/** What the evidence is held against. */
export interface GateLimits {
  readonly maxLagSeconds: number;
  readonly verifiedWithinSeconds: number;
}

export type GateVerdict = 'go' | 'no-go';

/** What must be there: the projections that are sampled, the tables that verification covers, and the mapping it must have compared with, as `name@version`s. */
export interface GateScope {
  readonly mapping: string;
  readonly projections: readonly string[];
  readonly tables: readonly string[];
}

/** A longer silence between two samples hides what the lag was: a projector that is replaced is back earlier. */
export const MAX_GAP_SECONDS = 60;

/** The checklist, in the order in which people work it off. */
export function toGateLines(
  facts: GateFacts,
  scope: GateScope,
  limits: GateLimits,
  config: Pick<Config, 'slot' | 'lagWarningSeconds' | 'lagFailingSeconds'>,
): GateLine[] {
  const { tenant, pipeline } = facts;
  return [
    ...(tenant === null ? [] : [toTenantLine(facts)]),
    toSlotLine(pipeline, config),
    toConnectorLine(pipeline),
    toLoadLine(pipeline),
    toLagNowLine(pipeline, limits),
    toLagHourLine(facts, scope.projections, limits),
    toVerificationLine(facts, scope, limits),
    toLettersLine(facts),
    toParkedLine(facts),
    { name: 'rejects', state: 'shown', what: `${facts.rejects} legacy values have no valid form`, next: null },
    ...confirmationKinds.map((kind) => toConfirmationLine(kind, facts)),
  ];
}

/** Go where no line says no. */
export function toGateVerdict(lines: readonly GateLine[]): GateVerdict {
  return lines.some(({ state }) => state === 'no-go') ? 'no-go' : 'go';
}

const go = (name: string, what: string): GateLine => ({ name, state: 'go', what, next: null });
const noGo = (name: string, what: string, next: string): GateLine => ({ name, state: 'no-go', what, next });

function toTenantLine({ tenant, isKnown }: GateFacts): GateLine {
  return isKnown
    ? go('tenant', `${tenant} is known`)
    : noGo('tenant', `nothing is known of ${tenant}: no row of it was projected or verified`, 'Correct its name.');
}

function toSlotLine(pipeline: PipelineState, config: Parameters<typeof toFindings>[1]): GateLine {
  const name = 'replication slot';
  const { legacy, kafka } = pipeline;
  if (legacy.state !== 'up') return noGo(name, `not known: ${legacy.problem}`, legacy.remedy);
  if (kafka.state !== 'up') return noGo(name, `not known: ${kafka.problem}`, kafka.remedy);
  // Whether somebody reads it is the next line.
  const asIfRead = { ...legacy, slot: legacy.slot === null ? null : { ...legacy.slot, active: true } };
  const [found] = toFindings({ ...pipeline, legacy: asIfRead }, config).filter(({ about }) => about === 'connector');
  if (found !== undefined) return noGo(name, found.what, found.remedy);
  const { walStatus, retainedBytes, confirmedLsn } = legacy.slot!;
  const confirmed = confirmedLsn === null ? 'not confirmed yet' : `confirmed up to ${toLsnText(confirmedLsn)}`;
  return go(name, `${walStatus ?? 'unknown'}, ${confirmed}, holds ${retainedBytes ?? 0n} bytes of log back`);
}

function toConnectorLine({ legacy, kafka }: PipelineState): GateLine {
  const name = 'connector';
  if (legacy.state !== 'up') return noGo(name, `not known: ${legacy.problem}`, legacy.remedy);
  if (kafka.state !== 'up') return noGo(name, `not known: ${kafka.problem}`, kafka.remedy);
  if (legacy.slot?.active !== true || kafka.position === null)
    return noGo(name, 'no connector reads the slot', 'Start it: `crosswalk connect`.');
  return go(name, `reads the slot, position ${toLsnText(kafka.position.lsn)}`);
}

function toLoadLine({ kafka, tables }: PipelineState): GateLine {
  const name = 'initial load';
  if (kafka.state !== 'up') return noGo(name, `not known: ${kafka.problem}`, kafka.remedy);
  const loading = tables.filter(({ done }) => !done).map(({ table }) => table);
  return loading.length === 0
    ? go(name, `done for ${tables.length} tables`)
    : noGo(
        name,
        `not done for ${loading.join(', ')}`,
        'It goes on by itself while the connector runs: `crosswalk status`.',
      );
}

function toLagNowLine({ source, projections, legacy, kafka }: PipelineState, { maxLagSeconds }: GateLimits): GateLine {
  const name = 'lag now';
  for (const server of [legacy, kafka]) {
    if (server.state !== 'up') return noGo(name, `not known: ${server.problem}`, server.remedy);
  }
  const next = '`crosswalk lag` says where: start the connector, projectors, or more of them.';
  const behind = projections.map(({ projection, partitions }) => ({ projection, ...toTotalLag(partitions) }));
  const unknown = behind.filter(({ lagSeconds }) => lagSeconds === null).map(({ projection }) => projection);
  if (source === null || unknown.length > 0)
    return noGo(name, `not known${source === null ? '' : `: ${unknown.join(', ')} have not begun`}`, next);
  const worst = Math.max(0, ...behind.map(({ lagSeconds }) => lagSeconds ?? 0));
  const seconds = source.lagSeconds + worst;
  const what = `${toSecondsText(seconds)}: the log ${toSecondsText(source.lagSeconds)} behind the legacy database, projections up to ${toSecondsText(worst)} behind the log (at most ${maxLagSeconds} s)`;
  return seconds <= maxLagSeconds ? go(name, what) : noGo(name, what, next);
}

function toLagHourLine(facts: GateFacts, projections: readonly string[], { maxLagSeconds }: GateLimits): GateLine {
  const name = 'lag, last hour';
  const { samples, nowSeconds } = facts;
  const gap = toLargestGap(samples, projections, nowSeconds);
  if (gap.seconds > MAX_GAP_SECONDS) {
    return noGo(
      name,
      `not known: no sample of ${gap.projection} for ${Math.round(gap.seconds)} s from ${toTimeText(gap.fromSeconds)} (at most ${MAX_GAP_SECONDS} s)`,
      'Let its projectors run, with Kafka and the target database, for an hour: they take the samples.',
    );
  }
  const next = 'Find the cause, and wait until an hour has passed: `crosswalk lag`, the log of the projectors.';
  const unknown = samples.find(({ projection, lagSeconds }) => lagSeconds === null && projections.includes(projection));
  if (unknown !== undefined)
    return noGo(
      name,
      `the initial load of ${unknown.projection} was under way at ${toTimeText(unknown.atSeconds)}`,
      next,
    );
  const worst = samples
    .filter(({ projection }) => projections.includes(projection))
    .reduce((one, other) => ((other.lagSeconds ?? 0) > (one.lagSeconds ?? 0) ? other : one));
  const seconds = worst.lagSeconds ?? 0;
  const what = `worst ${toSecondsText(seconds)}, ${worst.projection} at ${toTimeText(worst.atSeconds)} (at most ${maxLagSeconds} s), ${samples.length} samples`;
  return seconds <= maxLagSeconds ? go(name, what) : noGo(name, what, next);
}

/** The longest time within the last hour that no sample of one of the projections tells of. Infinite gaps there are none: without any sample it is the hour. */
export function toLargestGap(
  samples: readonly LagSample[],
  projections: readonly string[],
  nowSeconds: number,
): { projection: string; fromSeconds: number; seconds: number } {
  let largest = { projection: '', fromSeconds: nowSeconds, seconds: 0 };
  for (const projection of projections) {
    let last = nowSeconds - LAG_WINDOW_SECONDS;
    const times = samples.filter((sample) => sample.projection === projection).map(({ atSeconds }) => atSeconds);
    for (const at of [...times, nowSeconds]) {
      if (at - last > largest.seconds) largest = { projection, fromSeconds: last, seconds: at - last };
      last = at;
    }
  }
  return largest;
}

/**
 * What verification says of a table for one tenant, or for all. The rows of a tenant are listed only where it had any when the table was last verified:
 * where `*` is newer than its own row, it had none then.
 */
export function toVerifiedOf(
  verified: readonly VerifiedTable[],
  table: string,
  tenant: string | null,
): VerifiedTable | null {
  const of = (tenantId: string) => verified.find((row) => row.table === table && row.tenantId === tenantId);
  const all = of('*');
  const own = tenant === null ? undefined : of(tenant);
  if (tenant === null) return all ?? null;
  if (own !== undefined && own.throughSeconds >= (all?.throughSeconds ?? 0)) return own;
  return all === undefined ? null : { ...all, tenantId: tenant, rows: 0, differences: 0, unsettled: 0 };
}

function toVerificationLine(facts: GateFacts, scope: GateScope, { verifiedWithinSeconds }: GateLimits): GateLine {
  const name = 'verification';
  const { tenant, verified, nowSeconds } = facts;
  const verify = `\`crosswalk verify${tenant === null ? '' : ` --tenant ${tenant}`}\``;
  const found = scope.tables.map((table) => ({ table, of: toVerifiedOf(verified, table, tenant) }));
  const missing = found.filter(({ of }) => of === null).map(({ table }) => table);
  if (missing.length > 0)
    return noGo(
      name,
      `never verified: ${missing.join(', ')}`,
      `Run ${verify}, or keep \`crosswalk verify --watch\` running.`,
    );
  const counts = found.map(({ of }) => of!);
  if (counts.some(({ mapping }) => mapping !== scope.mapping))
    return noGo(
      name,
      `verified against another mapping than ${scope.mapping}`,
      `Rebuild what changed, then run ${verify}.`,
    );
  const ofNobody = tenant === null ? [] : verified.filter(({ tenantId }) => tenantId === '');
  const wrong = [...counts, ...ofNobody].filter(({ differences, unsettled }) => differences + unsettled > 0);
  if (wrong.length > 0) {
    const named = wrong.map(
      ({ table, tenantId, differences, unsettled }) =>
        `${table} ${differences}${unsettled === 0 ? '' : ` and ${unsettled} unsettled`}${tenantId === '' ? ' of which nobody can tell the tenant' : ''}`,
    );
    return noGo(name, `differences: ${named.join(', ')}`, `${verify} names them, with \`--repair\` it mends them.`);
  }
  const oldest = counts.reduce((one, other) => (other.throughSeconds < one.throughSeconds ? other : one));
  const age = nowSeconds - oldest.throughSeconds;
  const rows = counts.reduce((sum, count) => sum + count.rows, 0);
  // Whoever is known has a row: without any, nothing of it was looked at, such as of one that is new.
  if (tenant !== null && rows === 0) return noGo(name, `no row of ${tenant} was verified yet`, `Run ${verify}.`);
  const what = `${rows} rows in ${counts.length} tables without a difference, through ${toTimeText(oldest.throughSeconds)}, ${toAgeText(age)} ago (at most ${toAgeText(verifiedWithinSeconds)})`;
  return age <= verifiedWithinSeconds
    ? go(name, what)
    : noGo(name, `${what}, oldest ${oldest.table}`, `Run ${verify}.`);
}

function toLettersLine({ deadLetters, oversized, tenant }: GateFacts): GateLine {
  const name = 'dead letters';
  if (oversized.state !== 'up') return noGo(name, `not known: ${oversized.problem}`, oversized.remedy);
  if (deadLetters.own + deadLetters.unknown + oversized.count === 0) return go(name, 'none open');
  const parts = [
    `${deadLetters.own} open`,
    ...(deadLetters.unknown > 0 ? [`${deadLetters.unknown} open of which nobody can tell the tenant`] : []),
    ...(oversized.count > 0
      ? [`${oversized.count} rows too large for the log${tenant === null ? '' : ', whosever they are'}`]
      : []),
  ];
  return noGo(name, parts.join(', '), '`crosswalk dlq list` names them; redrive or discard them.');
}

function toParkedLine({ parked }: GateFacts): GateLine {
  const name = 'parked changes';
  if (parked.own + parked.unknown === 0) return go(name, 'none');
  const unknown = parked.unknown > 0 ? `, ${parked.unknown} of which nobody can tell the tenant` : '';
  return noGo(
    name,
    `${parked.own}${unknown}`,
    'They wait for a parent row or a unique value, often for moments only: evaluate again; then see crosswalk.parked_change.',
  );
}

const CONFIRMED: Readonly<Record<ConfirmationKind, { readonly name: string; readonly once: string }>> = {
  backup: { name: 'backup', once: 'it was taken and restored once' },
  rollback: { name: 'way back', once: 'it was tried' },
  team: { name: 'team', once: 'everybody is briefed, and somebody is there to help' },
  monitoring: { name: 'monitoring', once: 'it is in place and its alerts reach somebody' },
};

function toConfirmationLine(kind: ConfirmationKind, { confirmations, tenant }: GateFacts): GateLine {
  const { name, once } = CONFIRMED[kind];
  const next = `Once ${once}: \`crosswalk gate confirm ${tenant ?? 'all'} ${kind} --by NAME --note TEXT\`.`;
  const found = confirmations.find((confirmation) => confirmation.kind === kind);
  if (found === undefined) return noGo(name, 'not confirmed', next);
  const who = `confirmed by ${found.by} at ${found.at.slice(0, 19)}: ${found.note}`;
  return found.isValid
    ? go(name, `${who} (valid until ${found.validUntil.slice(0, 19)})`)
    : noGo(name, `expired at ${found.validUntil.slice(0, 19)}, ${who}`, next);
}

/** UTC, to the second. */
export function toTimeText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
}

function toSecondsText(seconds: number): string {
  return `${seconds.toFixed(1)} s`;
}

function toAgeText(seconds: number): string {
  if (seconds < 120) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}
