import { type Config, topicOf } from '../../runtime/config.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import type { Kafka } from '../../runtime/kafka.ts';
import type { Projection } from '../projection.ts';
import { targetTables } from '../write/catalog.ts';
import { readPlaces } from './fence.ts';
import type { RebuildRequest } from './rebuild.ts';
import { createShadow, openShadow, type Settings, type Shadow } from './shadow.ts';
import { readStarts, toStartText } from './start.ts';
import { inseparableFrom } from './units.ts';

/** Throws `config_invalid` if projections share rows with others that are not part of the rebuild. */
export function assertSeparable(projections: readonly Projection[], all: readonly Projection[]): void {
  const others = inseparableFrom(projections, all);
  if (others.length === 0) return;
  const names = projections.map(({ name }) => name);
  throw new CrosswalkError(
    'config_invalid.rebuild_together',
    `${names.join(', ')} shares rows with ${others.join(', ')}`,
    { projections: [...names, ...others].join(' ') },
  );
}

/**
 * Creates a shadow. From the beginning of the log it is empty. With a later start it holds the present contributions of all legacy rows and the older
 * parked changes, so that replayed changes of their rows come after them.
 */
export async function beginShadow(config: Config, kafka: Kafka, request: RebuildRequest): Promise<Shadow> {
  const { projections, start } = request;
  const settings = {
    projections: projections.map(({ name }) => name).toSorted(),
    topics: projections.map(({ source }) => topicOf(config, source)).toSorted(),
    from: toStartText(start),
    mapping: request.mapping,
  };
  const partial = start.kind !== 'beginning';
  return await createShadow(config.targetUrl(), request.name, {
    targetSchema: config.targetSchema,
    tables: [...new Set(projections.flatMap(targetTables))],
    partial,
    fill: async (control, schema): Promise<Settings> => {
      const live = await readPlaces(control, 'crosswalk', settings);
      const starts: { projection: string; partition: number; offset: string }[] = [];
      for (const { name, source } of projections) {
        const own = live.filter(({ projection }) => projection === name);
        if (own.length === 0) {
          throw new CrosswalkError('config_invalid.rebuild_before_start', `Projection ${name} has never run`);
        }
        const topic = topicOf(config, source);
        const found = await readStarts(kafka, topic, start, own);
        await control.query(
          `INSERT INTO ${schema}.consumer_offset (projection, topic, partition, next_offset) SELECT $1, $2, s.partition, s.next FROM unnest($3::int[], $4::bigint[]) AS s (partition, next)`,
          [name, topic, found.map(({ partition }) => partition), found.map(({ offset }) => String(offset))],
        );
        starts.push(...found.map(({ partition, offset }) => ({ projection: name, partition, offset: String(offset) })));
      }
      if (!partial) return { ...settings, starts: [] };
      await control.query(
        `INSERT INTO ${schema}.parked_change SELECT p.* FROM crosswalk.parked_change p JOIN ${schema}.consumer_offset o USING (projection, topic, partition) WHERE p.record_offset < o.next_offset`,
      );
      await control.query(
        `INSERT INTO ${schema}.replayed_key (projection, legacy_key, round) SELECT DISTINCT projection, legacy_key, 0 FROM ${schema}.parked_change`,
      );
      const aggregates = projections.flatMap((projection) => projection.aggregates.map(({ name }) => name));
      await control.query(
        `INSERT INTO ${schema}.contribution SELECT * FROM crosswalk.contribution WHERE aggregate = ANY ($1)`,
        [aggregates],
      );
      return { ...settings, starts };
    },
  });
}

/** Opens the shadow of an earlier rebuild with the same projections and mapping. */
export async function reopenShadow(config: Config, request: RebuildRequest): Promise<Shadow> {
  const shadow = await openShadow(config.targetUrl(), request.name, config.targetSchema);
  const names = request.projections.map(({ name }) => name).toSorted();
  const { projections, mapping } = shadow.settings;
  if (projections.join() === names.join() && mapping === request.mapping) return shadow;
  await shadow.close();
  throw new CrosswalkError(
    'config_invalid.rebuild_other',
    `The rebuild ${request.name} was begun for ${projections.join(', ')} with ${mapping}`,
  );
}
