// What can go wrong in a chaos run: each kind is one thing that happens to a server, a connection or a process, and is over when its promise resolves.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Random } from '../../pipelines/crm/sample/random.ts';
import { connectorPoints, type FaultPoint, projectorPoints } from '../../runtime/faults.ts';
import type { Fleet, Member } from './fleet.ts';
import { type ServerName, serverNames, type World } from './world.ts';

export interface FaultKind {
  readonly name: string;
  /** How often it is chosen, against the others. */
  readonly weight: number;
  /** What it takes hold of: two faults at a time must not share it. */
  readonly target: (random: Random) => string;
  /** Returns whether it struck. */
  strike(target: string, random: Random): Promise<boolean>;
}

/** All kinds of a run. */
export function faultKinds(world: World, fleet: Fleet): FaultKind[] {
  const memberOf = (name: string) => fleet.members.find((member) => member.name === name)!;
  const some = (kind: Member['kind']) => (random: Random) =>
    random.pick(fleet.members.filter((member) => member.kind === kind)).name;
  const someServer =
    (...names: readonly ServerName[]) =>
    (random: Random) =>
      random.pick(names);

  const onMember = (
    kind: Member['kind'],
    what: string,
    weight: number,
    strike: (member: Member, random: Random) => unknown,
  ): FaultKind => ({
    name: `${kind} ${what}`,
    weight,
    target: some(kind),
    strike: async (name, random) => (await strike(memberOf(name), random)) !== false,
  });
  const atPoint = (kind: Member['kind'], points: readonly FaultPoint[]): FaultKind =>
    onMember(kind, 'fault point', 6, (member, random) => {
      const action = random.pick(['kill', 'kill', 'freeze', 'fail', 'stall:3000']);
      return member.arm(`${random.pick(points)}=${action}@${random.int(1, 4)}`, 10_000);
    });
  const onServer = (
    what: string,
    weight: number,
    names: readonly ServerName[],
    strike: (name: ServerName, random: Random) => Promise<void>,
  ): FaultKind => ({
    name: what,
    weight,
    target: someServer(...names),
    strike: async (name, random) => {
      await strike(name as ServerName, random);
      return true;
    },
  });

  return [
    onMember('connector', 'SIGKILL', 4, (member) => member.kill()),
    onMember('connector', 'SIGSTOP and SIGCONT', 3, (member, random) => member.freeze(random.int(2000, 12_000))),
    onMember('connector', 'SIGTERM', 2, (member, random) => member.restart(random.int(0, 2000))),
    atPoint('connector', connectorPoints),
    onMember('projector', 'SIGKILL', 4, (member) => member.kill()),
    onMember('projector', 'SIGSTOP and SIGCONT', 3, (member, random) => member.freeze(random.int(2000, 18_000))),
    onMember('projector', 'leaves and joins', 2, (member, random) => member.restart(random.int(0, 4000))),
    atPoint('projector', projectorPoints),
    onServer('connections reset', 5, serverNames, async (name) => void world.proxies[name].cut()),
    onServer('connections stalled', 4, serverNames, async (name, random) => {
      world.proxies[name].stall();
      await sleep(random.int(1000, 8000));
      world.proxies[name].resume();
    }),
    onServer('connections half-open', 4, serverNames, async (name, random) => {
      world.proxies[name].halfOpen(random.pick(['client', 'server']));
    }),
    onServer('database sessions terminated', 2, ['legacy', 'target'], async (name) => {
      const url = name === 'legacy' ? world.direct.legacyUrl : world.direct.targetUrl;
      const client = new pg.Client({ connectionString: url });
      client.on('error', () => undefined);
      await client.connect();
      await client
        .query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'crosswalk-%'`)
        .finally(() => client.end());
    }),
    onServer('database crash', 2, ['legacy', 'target'], (name) => bounce(world, name, 'SIGKILL')),
    onServer('database restart', 2, ['legacy', 'target'], (name) => bounce(world, name, 'SIGTERM')),
    onServer('broker crash', 1, ['kafka'], (name) => bounce(world, name, 'SIGKILL')),
    onServer('broker restart', 1, ['kafka'], (name) => bounce(world, name, 'SIGTERM')),
    onServer('registry crash', 1, ['registry'], (name) => bounce(world, name, 'SIGKILL')),
  ];
}

async function bounce(world: World, name: ServerName, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  await world.servers[name].stop(signal);
  for (let attempt = 1; ; attempt++) {
    try {
      return await world.servers[name].start();
    } catch (error) {
      // A session of the crashed server may take a moment to end, and no new one starts beside it.
      if (attempt === 10) throw error;
      await sleep(500);
    }
  }
}
