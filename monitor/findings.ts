import { toLsnText } from '../changes/lsn.ts';
import type { Config } from '../runtime/config.ts';
import { toTotalLag } from './lag.ts';
import type { PipelineState, ProjectionState } from './pipeline-state.ts';

export type Verdict = 'healthy' | 'warning' | 'failing';

/** A finding for a person: the fact, and the remedy. */
export interface Finding {
  readonly level: 'warning' | 'failing';
  readonly about: 'server' | 'connector' | 'lag' | 'load' | 'parked' | 'dead letters';
  readonly what: string;
  readonly remedy: string;
}

type Thresholds = Pick<Config, 'slot' | 'lagWarningSeconds' | 'lagFailingSeconds'>;

/** Everything that is wrong with a pipeline, worst first. */
export function toFindings(state: PipelineState, thresholds: Thresholds): Finding[] {
  const isKnown = state.kafka.state === 'up' && state.kafka.position !== null && state.target.state === 'up';
  const found = [
    ...[state.legacy, state.kafka, state.target].flatMap((server): Finding[] =>
      server.state === 'up' ? [] : [{ level: 'failing', about: 'server', what: server.problem, remedy: server.remedy }],
    ),
    ...connectorFindings(state, thresholds),
    ...state.projections.flatMap((projection) => projectionFindings(projection, isKnown, thresholds)),
  ];
  return [...found.filter(({ level }) => level === 'failing'), ...found.filter(({ level }) => level === 'warning')];
}

/** The worst level among findings. */
export function toVerdict(findings: readonly Finding[]): Verdict {
  if (findings.some(({ level }) => level === 'failing')) return 'failing';
  return findings.length > 0 ? 'warning' : 'healthy';
}

/** The level for a number of seconds; null below the warning threshold. */
export function levelOf(seconds: number, thresholds: Omit<Thresholds, 'slot'>): 'warning' | 'failing' | null {
  if (seconds > thresholds.lagFailingSeconds) return 'failing';
  return seconds > thresholds.lagWarningSeconds ? 'warning' : null;
}

function connectorFindings({ legacy, kafka, source, tables }: PipelineState, thresholds: Thresholds): Finding[] {
  const found: Finding[] = [];
  const add = (level: Finding['level'], about: Finding['about'], what: string, remedy: string) =>
    found.push({ level, about, what, remedy });
  const stop = kafka.state === 'up' ? (kafka.stop ?? null) : null;
  const start = stop === null ? 'Start the connector: `crosswalk connect`.' : 'Do that, then start the connector.';
  const ended = stop === null ? '' : `. The last connector ended at ${stop.at}: ${stop.line}`;
  if (kafka.state === 'up' && kafka.position === null) {
    add('failing', 'connector', `No position is stored for slot ${thresholds.slot}${ended}`, start);
    return found;
  }
  if (legacy.state === 'up' && kafka.state === 'up') {
    const { slot } = legacy;
    if (slot === null)
      add(
        'failing',
        'connector',
        `Replication slot ${thresholds.slot} does not exist`,
        'A position is stored for it, so changes since then are lost: docs/operations.md, "A lost slot".',
      );
    else if (slot.walStatus === 'lost' || slot.invalidation !== null)
      add(
        'failing',
        'connector',
        `Replication slot ${thresholds.slot} was invalidated${slot.invalidation === null ? '' : ` (${slot.invalidation})`}`,
        'The server removed changes that it needs: docs/operations.md, "A lost slot".',
      );
    else if (slot.walStatus === 'unreserved')
      add(
        'failing',
        'connector',
        `Replication slot ${thresholds.slot} is about to be invalidated`,
        'Raise max_slot_wal_keep_size, and let the connector catch up.',
      );
    else if (slot.confirmedLsn !== null && kafka.position !== null && slot.confirmedLsn > kafka.position.lsn)
      add(
        'failing',
        'connector',
        `Replication slot ${thresholds.slot} was re-created, or read by something else: it is confirmed up to ${toLsnText(slot.confirmedLsn)}, past the stored position ${toLsnText(kafka.position.lsn)}`,
        'Changes between the two may be missing: docs/operations.md, "A lost slot".',
      );
    else if (!slot.active)
      add(
        stop === null ? (levelOf(source?.lagSeconds ?? 0, thresholds) ?? 'warning') : 'failing',
        'connector',
        `No connector reads the slot${ended}`,
        `${start} Until then the legacy server keeps its log.`,
      );
  }
  const level = levelOf(source?.lagSeconds ?? 0, thresholds);
  if (source !== null && level !== null)
    add(
      level,
      'lag',
      `The log is ${Math.round(source.lagSeconds)} s behind the legacy database (${source.lagBytes} bytes)`,
      'See the log of the connector: it waits for a server, or a large transaction is under way.',
    );
  const loading = tables.filter((table) => !table.done);
  if (kafka.state === 'up' && loading.length > 0)
    add(
      'warning',
      'load',
      `The initial load has ${loading.length} of ${tables.length} tables to go`,
      kafka.position?.signals?.isLoadPaused === true
        ? 'It is paused: `crosswalk snapshot resume initial` has it go on.'
        : 'It goes on by itself while the connector runs.',
    );
  if (kafka.state === 'up' && kafka.deadLetters > 0)
    add(
      'warning',
      'dead letters',
      `${kafka.deadLetters} legacy rows are too large for their topics: the log lacks their last version`,
      '`crosswalk dlq list` names them: make each smaller in the legacy table, or raise max.message.bytes of its topic and change the row once; its next version settles it.',
    );
  return found;
}

function projectionFindings(projection: ProjectionState, isKnown: boolean, thresholds: Thresholds): Finding[] {
  const name = projection.projection;
  const found: Finding[] = [];
  const { lagOffsets, lagSeconds } = toTotalLag(projection.partitions);
  const remedy = `Start projectors, or more of them: \`crosswalk project ${name}\`; their log says what they wait for.`;
  const lagLevel = lagSeconds === null ? 'warning' : levelOf(lagSeconds, thresholds);
  if (isKnown && lagOffsets === null)
    found.push({
      level: 'failing',
      about: 'lag',
      what: `The connector does not write topic ${projection.topic}, which projection ${name} reads`,
      remedy: 'Add its table to CROSSWALK_TABLES of the connector, and give both the same CROSSWALK_TOPIC_PREFIX.',
    });
  const stop = projection.stop ?? null;
  if (stop !== null && lagOffsets !== 0n)
    found.push({
      level: 'failing',
      about: 'lag',
      what: `Projection ${name} has got no further since its process ended at ${stop.at}: ${stop.line}`,
      remedy: `Do that, then start it: \`crosswalk project ${name}\`.`,
    });
  else if (lagOffsets !== null && lagOffsets > 0n && lagLevel !== null) {
    const seconds =
      lagSeconds === null ? 'a partition has not been applied at all' : `up to ${Math.round(lagSeconds)} s`;
    found.push({
      level: lagLevel,
      about: 'lag',
      what: `Projection ${name} is ${lagOffsets} offsets behind, ${seconds}`,
      remedy,
    });
  }
  const parkedLevel = levelOf(projection.parkedSeconds, thresholds);
  if (projection.parked > 0 && parkedLevel !== null)
    found.push({
      level: parkedLevel,
      about: 'parked',
      what: `Projection ${name} has ${projection.parked} changes parked, the oldest for ${Math.round(projection.parkedSeconds)} s`,
      remedy:
        'They wait for a parent row or a unique value: let the other projections catch up; crosswalk.parked_change names the constraint.',
    });
  if (projection.deadLetters > 0)
    found.push({
      level: 'warning',
      about: 'dead letters',
      what: `Projection ${name} has ${projection.deadLetters} open dead letters`,
      remedy:
        '`crosswalk dlq list` names legacy keys and reasons: correct the legacy rows or the mapping; a later change that applies resolves them, `crosswalk dlq redrive` applies them again.',
    });
  return found;
}
