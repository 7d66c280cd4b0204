// Rights that Kafka refuses: each ends the connector with one line, and a grant heals it.

import kafkajs from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { examine } from '../../../cli/commands/doctor.ts';
import { positionTopicOf, topicOf } from '../../../runtime/config.ts';
import { createLog } from '../../../runtime/log.ts';
import { runCli } from '../../support/cli.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { crm } from '../../support/crm.ts';
import { kafkaClientEnv } from '../../support/kafka-client.ts';
import { type OwnKafka, startOwnKafka } from '../../support/own-kafka.ts';

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;
let own: OwnKafka;
let admin: kafkajs.Admin;
const rigs: ConnectorRig[] = [];
beforeAll(async () => {
  own = await startOwnKafka({
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'allow.everyone.if.no.acl.found': 'true',
  });
  admin = new kafkajs.Kafka({ brokers: [own.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
}, 120_000);
afterAll(async () => {
  await Promise.all(rigs.map((rig) => rig.drop()));
  await admin?.disconnect();
  await own?.close();
});

type Case = [string, (rig: ConnectorRig) => kafkajs.AclEntry, (rig: ConnectorRig) => string, boolean];
const GROUPS: Case = [
  'to read in groups',
  () => entry(AclResourceTypes.GROUP, 'crosswalk-reader-', AclOperationTypes.READ),
  () => 'Group authorization failed',
  true,
];
const cases: Case[] = [
  [
    'to write events',
    (rig) => entry(AclResourceTypes.TOPIC, topicOf(rig.config, 'docs'), AclOperationTypes.WRITE),
    (rig) => `Kafka: no right to use ${topicOf(rig.config, 'docs')}`,
    false,
  ],
  [
    'to write positions',
    (rig) => entry(AclResourceTypes.TOPIC, positionTopicOf(rig.config), AclOperationTypes.WRITE),
    (rig) => `Kafka: no right to use ${positionTopicOf(rig.config)}`,
    false,
  ],
  [
    'to write in transactions',
    (rig) => entry(AclResourceTypes.TRANSACTIONAL_ID, `crosswalk.${rig.config.topicPrefix}.`, AclOperationTypes.WRITE),
    () => 'Transactional Id authorization failed',
    false,
  ],
  [
    'to describe topics',
    (rig) => entry(AclResourceTypes.TOPIC, positionTopicOf(rig.config), AclOperationTypes.DESCRIBE),
    (rig) => positionTopicOf(rig.config),
    true,
  ],
  // The client of our own reads without any group.
  ...(kafkaClientEnv.CROSSWALK_KAFKA_CLIENT === 'kafkajs' ? [GROUPS] : []),
];

/** Everybody is refused the operation, on resources whose names begin so; any other is allowed by a second entry. */
const entry = (resourceType: kafkajs.AclResourceTypes, resourceName: string, operation: kafkajs.AclOperationTypes) => ({
  resourceType,
  resourceName,
  resourcePatternType: ResourcePatternTypes.PREFIXED,
  principal: 'User:ANONYMOUS',
  host: '*',
  operation,
  permissionType: AclPermissionTypes.DENY,
});

test.for(cases)('no right %s', { timeout: 120_000 }, async ([name, deny, message, isSeen]) => {
  const rig = await createConnectorRig(`rights${cases.findIndex(([of]) => of === name)}`, {
    kafkaBrokers: own.brokers,
    tables: ['docs'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, label text); ALTER TABLE docs REPLICA IDENTITY FULL;
      INSERT INTO docs SELECT i, 'row ' || i FROM generate_series(1, 300) i`,
    env: { LOG_LEVEL: 'silent' },
  });
  rigs.push(rig);
  const first = rig.run();
  await rig.untilCaughtUp();
  await first.stop();
  const denied = deny(rig);
  const allowed = { ...denied, operation: AclOperationTypes.ALL, permissionType: AclPermissionTypes.ALLOW };
  await admin.createAcls({ acl: [allowed, denied] });
  await rig.legacy.query(`INSERT INTO docs VALUES (1000, 'while it is refused')`);
  const refused = await runCli(['connect'], rig.env);
  expect(refused).toMatchObject({ code: 2 });
  const line = refused.stderr.trim().split('\n').at(-1)!;
  expect(line).toContain(message(rig));
  expect(line).toContain('docs/operations.md lists the rights');
  const checks = await examine({
    pipeline: crm,
    config: rig.config,
    log: createLog('silent'),
    signal: new AbortController().signal,
  });
  // Whether one may write is only known to who writes; what one may not describe looks as if it was not there.
  // What doctor finds itself, beside the last line of the connector, which it repeats.
  const seen = checks.filter(
    ({ what, state }) => state !== 'ok' && !what.includes('connector ended at') && what.includes(message(rig)),
  );
  expect(seen.length > 0).toBe(isSeen);
  await admin.deleteAcls({ filters: [allowed, denied] });
  const connector = rig.run();
  await rig.untilCaughtUp();
  await connector.stop();
  const { log, differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  expect(log.length).toBeGreaterThan(300);
});
