// The programs of the embedded Kafka and registry: fetched by Maven once, kept in a folder that all runs share.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { withLock } from './lock.ts';

const run = promisify(execFile);

/** The absolute path of the repository; in the package that of dist/. */
export const repositoryRoot = resolve(import.meta.dirname, '../..');
/** An install of the package replaces what is in its folder: there programs are kept where the command is called. */
const home = import.meta.filename.endsWith('.ts') ? repositoryRoot : process.cwd();

const registryVersion = '3.0.9';
const kafkaPom = join(repositoryRoot, 'infra/embedded/kafka/pom.xml');

// Version 2.8 and no later one: later ones insist on the registry's parent pom, which is not published.
const fetchOne = 'org.apache.maven.plugins:maven-dependency-plugin:2.8:get';

/** The error of a fetch that failed; `cause` null: Maven is missing. */
type ToFetchError = (cause: string | null) => Error;

const toServersError: ToFetchError = (cause) =>
  new Error(
    cause === null
      ? 'Maven is missing: install it, or start Docker, or set KAFKA_BROKERS and SCHEMA_REGISTRY_URL'
      : `Maven could not fetch the servers (${cause}): check the access to Maven Central and run again`,
  );

async function runMaven(args: readonly string[], toError: ToFetchError): Promise<void> {
  try {
    await run('mvn', ['-q', '-B', ...args], { maxBuffer: 64 << 20 });
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as { code?: string; stdout?: string; stderr?: string };
    if (code === 'ENOENT') throw toError(null);
    const line = `${stdout}\n${stderr}`.split('\n').find((text) => text.includes('[ERROR]'));
    throw toError((line ?? (error as Error).message).trim());
  }
}

/** Fetches what a pom depends on into a folder. */
export const copyDependencies = (pom: string, dir: string, toError: ToFetchError, args: readonly string[] = []) =>
  runMaven(['-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${dir}`, ...args], toError);

/** Fetches an archive, `group:name:version:type:classifier`, into a file. */
export const fetchArchive = (artifact: string, file: string, toError: ToFetchError) =>
  runMaven([fetchOne, '-Dtransitive=false', `-Dartifact=${artifact}`, `-Ddest=${file}`], toError);

/** The folder of this name beside the others, filled where it is missing: whole, by one process at a time. */
export async function install(
  name: string,
  what: string,
  log: (line: string) => void,
  fill: (dir: string) => Promise<void>,
): Promise<string> {
  const cache = resolve(process.env.CROSSWALK_CACHE ?? join(home, '.crosswalk/jars'));
  const target = join(cache, name);
  if (existsSync(target)) return target;
  mkdirSync(cache, { recursive: true });
  // One Maven at a time: two that fetch into the same local repository can spoil each other's files.
  await withLock(join(cache, 'install.lock'), async () => {
    if (existsSync(target)) return;
    log(`Fetching ${what} (once)`);
    // Whoever left these was killed while it held the lock.
    for (const left of readdirSync(cache).filter((entry) => entry.startsWith(`${name}.`))) {
      rmSync(join(cache, left), { recursive: true, force: true });
    }
    const temporary = `${target}.${process.pid}.${randomBytes(4).toString('hex')}`;
    mkdirSync(temporary);
    try {
      await fill(temporary);
      // Whole or not at all: a folder under its final name is complete.
      renameSync(temporary, target);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  });
  return target;
}

/** The folder of Kafka's jars, fetched when missing. */
export async function installKafka(log: (line: string) => void): Promise<string> {
  const key = createHash('sha256').update(readFileSync(kafkaPom)).digest('hex').slice(0, 8);
  return install(`kafka-${key}`, 'Apache Kafka', log, (dir) => copyDependencies(kafkaPom, dir, toServersError));
}

/** The folder of the registry, fetched when missing. */
export async function installRegistry(log: (line: string) => void): Promise<string> {
  return install(`apicurio-registry-${registryVersion}`, 'Apicurio Registry', log, async (dir) => {
    const archive = join(dir, 'registry.tar.gz');
    const artifact = `io.apicurio:apicurio-registry-app:${registryVersion}:tar.gz:all`;
    await fetchArchive(artifact, archive, toServersError);
    await run('tar', ['xzf', archive, '-C', dir]);
    rmSync(archive);
  });
}

/** The java program: of JAVA_HOME where that is set, else from the path. */
export function findJava(): string {
  const home = process.env.JAVA_HOME;
  return home === undefined || home === '' ? 'java' : join(home, 'bin/java');
}
