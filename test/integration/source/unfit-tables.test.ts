// Tables whose log would not say what they hold are refused: by the connector, by doctor and by the plan of a migration, in the same words, and the remedy that these name helps.

import { expect, test } from 'vitest';
import { examine } from '../../../cli/commands/doctor.ts';
import { planSourceSetup } from '../../../connectors/source-setup.ts';
import { captureOf } from '../../../connectors/source-state.ts';
import { type CrosswalkError, toErrorLine } from '../../../runtime/errors.ts';
import { createLog } from '../../../runtime/log.ts';
import { createConnectorRig } from '../../support/connector.ts';
import { crm } from '../../support/crm.ts';

interface Case {
  readonly tables: readonly string[];
  readonly schema: string;
  readonly line: RegExp;
  /** What somebody does who reads the line: the statements that it holds unless said. */
  readonly remedy?: string;
  /** What the owner's setup mends by itself. */
  readonly isPlanned?: boolean;
  readonly change: string;
}

const full = (...tables: string[]) => tables.map((table) => `ALTER TABLE ${table} REPLICA IDENTITY FULL;`).join(' ');
const PARTITIONED = 'CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);';
const ROWS = `INSERT INTO t SELECT i, 'x' || i FROM generate_series(1, 60) i;`;
const VIA_ROOT = 'CREATE PUBLICATION crosswalk FOR TABLE t WITH (publish_via_partition_root = true)';
const CHANGE = `UPDATE t SET v = v || '!' WHERE id < 50; DELETE FROM t WHERE id = 3`;

const cases: Record<string, Case> = {
  'a key that two rows may have for a moment': {
    tables: ['t'],
    schema: `CREATE TABLE t (id int, v text, CONSTRAINT "t key" PRIMARY KEY (id) DEFERRABLE); ${ROWS} ${full('t')}
      CREATE PUBLICATION crosswalk FOR TABLE t`,
    line: /^The primary key of t is DEFERRABLE: .*DROP CONSTRAINT "t key", ADD CONSTRAINT "t key" PRIMARY KEY \("id"\);/,
    change: `BEGIN; UPDATE t SET id = -1 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = -1; COMMIT`,
  },
  'a key that a partition lacks': {
    tables: ['t'],
    schema: `CREATE TABLE t (id int NOT NULL, v text) PARTITION BY RANGE (id);
      CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100);
      ALTER TABLE ONLY t ADD CONSTRAINT t_pkey PRIMARY KEY (id); ${ROWS} ${full('t', 't_1')} ${VIA_ROOT}`,
    line: /^The primary key of t is not valid: a partition lacks it\. .*ALTER INDEX "public"\."t_pkey" ATTACH PARTITION/,
    remedy: 'ALTER TABLE t_1 ADD CONSTRAINT t_1_pkey PRIMARY KEY (id); ALTER INDEX t_pkey ATTACH PARTITION t_1_pkey',
    change: CHANGE,
  },
  'an unlogged table': {
    tables: ['t'],
    schema: `CREATE UNLOGGED TABLE t (id int PRIMARY KEY, v text); ${ROWS} ${full('t')} CREATE PUBLICATION crosswalk FOR ALL TABLES`,
    line: /^Unlogged, so that its changes are not in the server's log: "public"\."t"\. .*ALTER TABLE "public"\."t" SET LOGGED;/,
    change: CHANGE,
  },
  'an unlogged partition, which a publication of its table lets pass': {
    tables: ['t'],
    schema: `${PARTITIONED} CREATE UNLOGGED TABLE "t 1" PARTITION OF t FOR VALUES FROM (0) TO (100); ${ROWS} ${full('t', '"t 1"')} ${VIA_ROOT}`,
    line: /^Unlogged, .*: public\."t 1"\. .*ALTER TABLE public\."t 1" SET LOGGED;/,
    change: CHANGE,
  },
  'a partition whose rows are sent as those of its table': {
    tables: ['t_1'],
    schema: `${PARTITIONED} CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100); ${ROWS} ${full('t', 't_1')}
      CREATE PUBLICATION crosswalk FOR ALL TABLES WITH (publish_via_partition_root = true)`,
    line: /^Publication crosswalk sends the rows of t_1 as rows of public\.t, whose partition it is\. .*publish_via_partition_root = false\);/,
    change: CHANGE,
  },
  'partitions that did not take over the replica identity': {
    tables: ['t'],
    schema: `${PARTITIONED} CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (50);
      CREATE TABLE "T 2" PARTITION OF t FOR VALUES FROM (50) TO (100); ${ROWS} ${full('t')} ${VIA_ROOT}`,
    line: /^Partitions are not REPLICA IDENTITY FULL, .*: public\."T 2", public\.t_1\. .*ALTER TABLE public\.t_1 REPLICA IDENTITY FULL;/,
    isPlanned: true,
    change: CHANGE,
  },
};

test.each(Object.entries(cases))('%s', async (_, { tables, schema, line, remedy, isPlanned = false, change }) => {
  const rig = await createConnectorRig('unfit', { tables, schema, isSetUp: true, env: { LOG_LEVEL: 'silent' } });
  try {
    const error = (await rig.run().ended) as CrosswalkError;
    const said = toErrorLine(error);
    expect(said).toMatch(line);
    const checks = await examine({
      pipeline: crm,
      config: rig.config,
      log: createLog('silent'),
      signal: new AbortController().signal,
    });
    expect(checks).toContainEqual({
      ...{ area: 'source', name: 'capture', state: 'failing' },
      ...{ what: error.message, remedy: error.remedy },
    });
    // `status` has the process's own line.
    expect(checks.find(({ area, name }) => area === 'pipeline' && name === 'connector')?.what).toContain(said);
    const plan = await planSourceSetup(rig.legacy, captureOf(rig.config)).catch((thrown: CrosswalkError) => thrown);
    if (isPlanned) expect(plan).toEqual([...said.matchAll(/ALTER TABLE [^;]*/g)].map(([sql]) => sql));
    else expect(plan).toMatchObject({ message: error.message, remedy: error.remedy });

    const sql = [...said.matchAll(/ALTER (?:TABLE|PUBLICATION) [^;]*;/g)].map(([statement]) => statement).join(' ');
    await rig.legacy.query(remedy ?? sql);
    const connector = rig.run();
    await rig.untilCaughtUp();
    await rig.legacy.query(change);
    await rig.untilCaughtUp();
    const { log, differences, faults } = await rig.readCheckedLog();
    expect({ differences, faults }).toEqual({ differences: [], faults: [] });
    expect(log.some(({ value }) => value?.op === 'd')).toBe(true);
    await connector.stop();
  } finally {
    await rig.drop();
  }
});
