// The DDL that legacy teams run, in the running legacy database. Each strike works on columns of its own, so that no name comes twice.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../pipelines/crm/sample/random.ts';
import { createDba, type Dba } from './dba.ts';
import type { FaultKind } from './fault-kinds.ts';
import type { RefusedType } from './judge.ts';
import type { Operator } from './operator.ts';

/** What a schema change is made with. `c`: the start of the names of its own columns and types. */
interface Tools extends Dba {
  readonly c: string;
  /** Until the connector knows the source as it is. */
  seen(): Promise<void>;
  /** Until the connector has stopped. */
  stopped(): Promise<void>;
  /** Between two LSNs the registry refuses the table. */
  refusedBetween(table: string, from: bigint, until: bigint): void;
}

interface SchemaChange {
  readonly name: string;
  /** Whether the connector goes on by itself, or asks for a resnapshot. */
  readonly expects: 'passes' | 'stops';
  run(tools: Tools): Promise<void>;
}

export interface SchemaStorm {
  readonly kinds: readonly FaultKind[];
  /** Where changes are passed over on purpose. */
  readonly refused: readonly RefusedType[];
  /** Drops what the schema changes have left and the SQL oracle has no types for. */
  tidy(): Promise<void>;
}

/** By `extra_1`, an assignment in about a quarter of the rows. */
const QUARTER = `id::text < '4'`;
const quarters = ['0-3', '4-7', '8-b', 'c-f'].map((digits) => `id::text ~ '^[${digits}]'`);

const changes: readonly SchemaChange[] = [
  {
    name: 'column added, filled and dropped',
    expects: 'passes',
    async run({ c, commit }) {
      await commit(`ALTER TABLE contacts ADD ${c} jsonb`);
      await commit(`UPDATE contacts SET ${c} = jsonb_build_object('of', id) WHERE ${QUARTER}`);
      await commit(`ALTER TABLE contacts DROP ${c}`);
    },
  },
  {
    name: 'column renamed, and its rows written again',
    expects: 'passes',
    async run({ c, commit }) {
      await commit(`ALTER TABLE workspaces ADD ${c} text`);
      await commit(`UPDATE workspaces SET ${c} = upper(name)`);
      await commit(`ALTER TABLE workspaces RENAME ${c} TO ${c}_new`);
      await commit(`UPDATE workspaces SET ${c}_new = ${c}_new`);
    },
  },
  {
    name: 'column renamed and back, rows in between',
    expects: 'stops',
    async run({ c, commit }) {
      await commit(`ALTER TABLE contacts ADD ${c} text`);
      await commit(`UPDATE contacts SET ${c} = 'before ' || id WHERE ${QUARTER}`);
      await commit(`ALTER TABLE contacts RENAME ${c} TO ${c}_meanwhile`);
      await commit(`UPDATE contacts SET ${c}_meanwhile = 'between' WHERE id::text < '2'`);
      await commit(`ALTER TABLE contacts RENAME ${c}_meanwhile TO ${c}`);
      await commit(`UPDATE contacts SET ${c} = 'behind' WHERE id::text < '1'`);
    },
  },
  {
    name: 'mapped column dropped and added',
    expects: 'stops',
    async run({ commit }) {
      await commit('ALTER TABLE contacts DROP product; ALTER TABLE contacts ADD product varchar(255)');
      await commit(`UPDATE contacts SET product = 'again' WHERE ${QUARTER}`);
    },
  },
  {
    name: 'column dropped, and its name given to another',
    expects: 'stops',
    async run({ c, commit }) {
      await commit(`ALTER TABLE contacts ADD ${c} text, ADD ${c}_new text`);
      await commit(`UPDATE contacts SET ${c} = 'old', ${c}_new = 'new ' || id WHERE ${QUARTER}`);
      await commit(`ALTER TABLE contacts DROP ${c}; ALTER TABLE contacts RENAME ${c}_new TO ${c}`);
    },
  },
  {
    name: 'mapped columns swap their names',
    expects: 'stops',
    run: async ({ c, commit }) =>
      void (await commit(
        `ALTER TABLE contacts RENAME utm_term TO ${c}; ALTER TABLE contacts RENAME utm_content TO utm_term; ALTER TABLE contacts RENAME ${c} TO utm_content`,
      )),
  },
  {
    name: 'expand and contract of a mapped column',
    expects: 'stops',
    async run({ c, commit }) {
      await commit(`ALTER TABLE quotes ADD ${c} varchar`);
      for (const quarter of quarters) await commit(`UPDATE quotes SET ${c} = notes WHERE ${quarter}`);
      await commit(
        `LOCK TABLE quotes; UPDATE quotes SET ${c} = notes WHERE ${c} IS DISTINCT FROM notes;
         ALTER TABLE quotes DROP notes; ALTER TABLE quotes ALTER ${c} TYPE text; ALTER TABLE quotes RENAME ${c} TO notes`,
      );
    },
  },
  {
    name: 'column added with a constant',
    expects: 'stops',
    // A table that no other change rewrites: then nothing would tell them apart. No mapping reads it, and the oracle does not know what quotes keep of columns like this one.
    run: async ({ c, commit }) => void (await commit(`ALTER TABLE messages ADD ${c} text NOT NULL DEFAULT 'given'`)),
  },
  {
    name: 'column added with a default that is computed',
    expects: 'stops',
    run: async ({ c, commit }) =>
      void (await commit(`ALTER TABLE contacts ADD ${c} timestamptz DEFAULT clock_timestamp()`)),
  },
  {
    name: 'attribute added to a composite type',
    expects: 'stops',
    async run({ c, commit, seen }) {
      await commit(`CREATE TYPE ${c}_type AS (n integer, label text); ALTER TABLE workspaces ADD ${c} ${c}_type`);
      await commit(`UPDATE workspaces SET ${c} = (1, name)`);
      await seen();
      await commit(`ALTER TYPE ${c}_type ADD ATTRIBUTE more text`);
    },
  },
  {
    name: 'label of an enum renamed',
    expects: 'stops',
    async run({ c, commit, seen }) {
      await commit(`CREATE TYPE ${c}_type AS ENUM ('warm', 'cold'); ALTER TABLE contacts ADD ${c} ${c}_type`);
      await commit(`UPDATE contacts SET ${c} = 'warm' WHERE ${QUARTER}`);
      await seen();
      await commit(`ALTER TYPE ${c}_type RENAME VALUE 'warm' TO 'hot'`);
    },
  },
  {
    name: 'label added to an enum',
    expects: 'passes',
    async run({ c, commit }) {
      await commit(`CREATE TYPE ${c}_type AS ENUM ('warm', 'cold'); ALTER TABLE contacts ADD ${c} ${c}_type`);
      await commit(`UPDATE contacts SET ${c} = 'warm' WHERE ${QUARTER}`);
      await commit(`ALTER TYPE ${c}_type ADD VALUE 'hot' BEFORE 'warm'`);
      await commit(`UPDATE contacts SET ${c} = 'hot' WHERE id::text < '1'`);
    },
  },
  {
    name: 'columns that make one field name',
    expects: 'passes',
    async run({ c, commit, seen }) {
      await commit(`ALTER TABLE contacts ADD "${c}-x" text`);
      await commit(`UPDATE contacts SET "${c}-x" = 'hyphen' WHERE ${QUARTER}`);
      await commit(`ALTER TABLE contacts ADD ${c}_x text`);
      await commit(`UPDATE contacts SET ${c}_x = 'underscore' WHERE id::text < '2'`);
      // One that comes and goes unseen may have had the name of the next.
      await seen();
      await commit(`ALTER TABLE contacts DROP "${c}-x"`);
      await commit(`UPDATE contacts SET ${c}_x = 'alone' WHERE id::text < '1'`);
    },
  },
  {
    name: 'varchar lengthened',
    expects: 'passes',
    async run({ c, commit }) {
      await commit(`ALTER TABLE contacts ADD ${c} varchar(10)`);
      await commit(`UPDATE contacts SET ${c} = left(id::text, 10) WHERE ${QUARTER}`);
      await commit(`ALTER TABLE contacts ALTER ${c} TYPE varchar(40)`);
      await commit(`ALTER TABLE contacts ALTER ${c} TYPE text`);
      await commit(`UPDATE contacts SET ${c} = id::text WHERE id::text < '1'`);
    },
  },
  {
    name: 'indexes made, made again and dropped',
    expects: 'passes',
    async run({ c, alone }) {
      await alone(
        `DROP INDEX CONCURRENTLY IF EXISTS ${c}`,
        `CREATE INDEX CONCURRENTLY ${c} ON contacts (city, workspace_id)`,
      );
      await alone('REINDEX TABLE CONCURRENTLY contacts');
      await alone(`DROP INDEX CONCURRENTLY IF EXISTS ${c}`);
    },
  },
  {
    name: 'NOT NULL by way of a constraint',
    expects: 'passes',
    async run({ c, commit }) {
      await commit(`ALTER TABLE contacts ADD ${c} integer`);
      await commit(`ALTER TABLE contacts ALTER ${c} SET DEFAULT 0`);
      for (const quarter of quarters) await commit(`UPDATE contacts SET ${c} = 0 WHERE ${c} IS NULL AND ${quarter}`);
      await commit(`ALTER TABLE contacts ADD CONSTRAINT ${c} CHECK (${c} IS NOT NULL) NOT VALID`);
      await commit(`ALTER TABLE contacts VALIDATE CONSTRAINT ${c}`);
      await commit(`ALTER TABLE contacts ALTER ${c} SET NOT NULL`);
      await commit(`ALTER TABLE contacts DROP CONSTRAINT ${c}`);
    },
  },
  {
    name: 'integer made bigint, refused and undone',
    expects: 'stops',
    async run({ c, commit, seen, stopped, refusedBetween }) {
      await commit(`ALTER TABLE contacts ADD ${c} integer`);
      await commit(`UPDATE contacts SET ${c} = 1 WHERE ${QUARTER}`);
      await seen();
      const from = await commit(`ALTER TABLE contacts ALTER ${c} TYPE bigint`);
      await commit(`UPDATE contacts SET ${c} = 2 WHERE id::text < '1'`);
      await stopped();
      const until = await commit(`ALTER TABLE contacts ALTER ${c} TYPE integer`);
      refusedBetween('contacts', from, until);
    },
  },
  {
    name: 'VACUUM FULL',
    expects: 'passes',
    run: ({ alone }) => alone('VACUUM FULL contacts'),
  },
  {
    name: 'CLUSTER',
    expects: 'passes',
    run: ({ alone }) => alone('CLUSTER quotes USING quotes_pkey'),
  },
  {
    name: 'migration rolled back',
    expects: 'passes',
    run: ({ c, rollBack }) =>
      rollBack(
        `ALTER TABLE contacts ADD ${c} text DEFAULT 'never'; UPDATE contacts SET ${c} = 'x', notes = 'never' WHERE ${QUARTER};
         ALTER TABLE contacts DROP city; ALTER TABLE contacts ALTER lead_score TYPE bigint`,
      ),
  },
  {
    name: 'SET UNLOGGED, which the server refuses',
    expects: 'passes',
    run: ({ refused }) => refused('ALTER TABLE contacts SET UNLOGGED'),
  },
];

/** The target of all schema changes: there is one at a time. */
const TARGET = 'schema';

/**
 * Schema changes as faults, `weight` all together. Each begins when the connector knows the source, and ends when it knows it again; `onTrouble` hears of one that let the
 * connector go on or stop against what is expected.
 */
export function createSchemaStorm(
  legacyUrl: string,
  operator: Operator,
  options: { weight: number; untilTold: () => Promise<void>; onTrouble: (trouble: string) => void },
): SchemaStorm {
  const { untilTold, onTrouble } = options;
  const dba = createDba(legacyUrl);
  const refused: RefusedType[] = [];
  let strikes = 0;

  async function strike({ name, expects, run }: SchemaChange, random: Random): Promise<boolean> {
    await untilTold();
    const before = { stops: operator.stops(), resnapshots: operator.resnapshots().length };
    const stopped = async () => {
      while (operator.stops() === before.stops) await sleep(100);
    };
    const between: RefusedType[] = [];
    const c = `extra_${++strikes}`;
    await operator.attend(async () => {
      await run({
        ...dba,
        c,
        seen: untilTold,
        stopped,
        async commit(sql) {
          const lsn = await dba.commit(sql);
          await sleep(random.pick([0, 0, 300, 1500]));
          return lsn;
        },
        refusedBetween: (table, from, until) => void between.push({ table, from, until }),
      });
      await untilTold();
    });
    const stops = operator.stops() - before.stops;
    if (stops > 0 !== (expects === 'stops')) onTrouble(`schema change: ${name}: ${stops} stops, where it ${expects}`);
    // A change may be missing only where its table was read again behind it.
    const reread = operator.resnapshots().slice(before.resnapshots).at(-1) ?? [];
    refused.push(...between.filter(({ table }) => reread.includes(table)));
    return true;
  }

  return {
    kinds: changes.map((change) => ({
      name: `schema: ${change.name}`,
      weight: options.weight / changes.length,
      target: () => TARGET,
      strike: (_, random) => strike(change, random),
    })),
    refused,
    async tidy() {
      await dba.commit(
        `DO $$ DECLARE each text; BEGIN
           FOR each IN SELECT format('ALTER TABLE %s DROP %I', attrelid::regclass, attname) FROM pg_attribute
             WHERE attrelid IN ('contacts'::regclass, 'workspaces'::regclass) AND attname LIKE 'extra%' AND NOT attisdropped
           LOOP EXECUTE each; END LOOP;
           FOR each IN SELECT format('DROP TYPE %I', typname) FROM pg_type WHERE typname LIKE 'extra%type' LOOP EXECUTE each; END LOOP;
         END $$`,
      );
      // A column that is dropped sends no event: its values stay in the new schema until the rows are told again.
      for (const table of ['contacts', 'workspaces']) await dba.commit(`UPDATE ${table} SET id = id`);
    },
  };
}
