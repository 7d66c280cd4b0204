// The programs of the peer: fetched by Maven once, checked against their sums, kept beside those of Kafka and the registry.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { copyDependencies, fetchArchive, install } from '../../infra/stack/jars.ts';
import { CrosswalkError } from '../../runtime/errors.ts';

const run = promisify(execFile);

export const versions = { source: '3.7.0.Final', sink: '3.6.0.Final', connect: '4.3.1', converter: '2.6.13.Final' };

/** Sums that the files must have: of an archive its SHA-256, of a folder that of its names and SHA-256 sums, in order of name. */
const sums = {
  source: '660673cbabd2f269da21409208ebd0f0d9977bd92e824fc9daa272f240e88e51',
  sink: 'c23af8d416f0f801ffb0271b1a8fd9b5360ff8d66b0dd650e066bb56ecfddc05',
  connect: '7401f9891524aca87133a44ab81304869cd9dfe9db1f524807bb3075445c5197',
  converter: '64c9598c5e5fa86177454dd6df96fd1951edf49b92a7ad3d9d5f812f558f18ae',
};

/** Where the peer's programs are. */
export interface PeerJars {
  /** Of the worker. */
  readonly connect: string;
  /** Of connectors and converter, a folder each. */
  readonly plugins: string;
}

/** The peer's programs, fetched when missing. Throws where they cannot be had, or are not what was measured before. */
export async function installPeer(say: (line: string) => void): Promise<PeerJars> {
  const key = createHash('sha256')
    .update(JSON.stringify([versions, sums]))
    .digest('hex')
    .slice(0, 8);
  const what = `the peer: Debezium ${versions.source}, Kafka Connect ${versions.connect}`;
  const home = await install(`debezium-${key}`, what, (line) => say(`  ${line}`), fill);
  return { connect: join(home, 'connect'), plugins: join(home, 'plugins') };
}

async function fill(dir: string): Promise<void> {
  const plugins = join(dir, 'plugins');
  mkdirSync(join(plugins, 'converter'), { recursive: true });
  for (const [name, artifact] of [
    ['source', 'debezium-connector-postgres'],
    ['sink', 'debezium-connector-jdbc'],
  ] as const) {
    const archive = join(dir, `${name}.tar.gz`);
    await fetchArchive(`io.debezium:${artifact}:${versions[name]}:tar.gz:plugin`, archive, toError);
    assertSum(artifact, sumOf(archive), sums[name]);
    await run('tar', ['xzf', archive, '-C', plugins]);
    rmSync(archive);
  }
  await copyAll('connect-pom.xml', join(dir, 'connect'), sums.connect);
  await copyAll('converter-pom.xml', join(plugins, 'converter'), sums.converter);
}

async function copyAll(pom: string, dir: string, sum: string): Promise<void> {
  await copyDependencies(join(import.meta.dirname, pom), dir, toError, ['-DincludeScope=runtime']);
  const names = readdirSync(dir).sort();
  const text = names.map((name) => `${name} ${sumOf(join(dir, name))}\n`).join('');
  assertSum(pom, createHash('sha256').update(text).digest('hex'), sum);
}

const sumOf = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

function assertSum(what: string, found: string, expected: string): void {
  if (found === expected) return;
  throw new CrosswalkError(
    'unexpected.peer_unknown',
    `${what} is not what was measured before (SHA-256 ${found}, not ${expected})`,
  );
}

function toError(cause: string | null): CrosswalkError {
  return new CrosswalkError(
    'unexpected.no_maven',
    cause === null ? 'Maven is missing' : `Maven could not fetch the peer: ${cause}`,
  );
}
