import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { kafkaSettings } from '../../infra/stack/kafka.ts';
import { postgresSettings } from '../../infra/stack/postgres.ts';
import { NODE_ENVIRONMENT, NODE_FLAGS } from '../../runtime/node-flags.ts';

// There may be no Docker engine to try the image and the stack on: what they share with the tested stack is compared instead.

const root = resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const compose = read('infra/docker/compose.yaml');
const dockerfile = read('infra/docker/Dockerfile');

/** The part of a YAML text under a key, up to the next line that is indented no deeper. */
const under = (yaml: string, key: string, indent: number) =>
  new RegExp(`^ {${indent}}${key}:.*\\n((?: {${indent + 1}}.*\\n| *\\n)*)`, 'm').exec(yaml)?.[1] ?? '';

describe('compose.yaml', () => {
  test('runs the images of the stack that the commands start', () => {
    const ofStack = [...read('infra/stack/docker.ts').matchAll(/image: '([^']+)'/g)].map((match) => match[1]!);
    expect(ofStack).toHaveLength(3);
    for (const image of ofStack) expect(compose).toContain(`image: ${image}\n`);
  });

  test.each(Object.entries(postgresSettings))('sets %s of PostgreSQL to %s', (name, value) => {
    expect(compose).toContain(`- ${name}=${value}\n`);
  });

  test.each(Object.entries(kafkaSettings))('sets %s of Kafka to %s', (name, value) => {
    expect(compose).toContain(`KAFKA_${name.toUpperCase().replaceAll('.', '_')}: '${value}'\n`);
  });

  test('opens ports on this machine only', () => {
    const ports = [...compose.matchAll(/ports: \['([^']+)'/g)].map((match) => match[1]!);
    expect(ports.length).toBeGreaterThan(4);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  test('asks for nothing that .env.example does not name, and holds no secret', () => {
    const example = read('infra/docker/.env.example');
    for (const [, name] of compose.matchAll(/\$\{([A-Z_]+)/g)) expect(example).toMatch(new RegExp(`^#?${name}=`, 'm'));
    expect(example).not.toMatch(/^[A-Z_]*(PASSWORD|CLUSTER_ID)=./m);
    expect(compose).not.toMatch(/PASSWORD: [^$]/);
  });
});

describe('what people run in it', () => {
  const service = (name: string) => under(compose, name, 2);

  test('gates and stages, under a login of the operators that the target database is made with', () => {
    const roles = read('infra/docker/init/target-roles.sh');
    const [, login, secret] = /TARGET_OPERATOR_URL: postgres:\/\/(\w+):\$\{(\w+)/.exec(service('operator'))!;
    expect(roles).toContain(`CREATE ROLE ${login} LOGIN PASSWORD :'operator_password' IN ROLE crosswalk_operator;\n`);
    expect(roles).toContain(`--set=operator_password="$${secret}"`);
    expect(service('target')).toContain(`${secret}: \${${secret}:?`);
    expect(service('operator')).toContain('profiles: [operator]\n');
    expect(read('docs/cutover.md')).toContain('run --rm operator gate ');
    // Nobody else has it.
    expect(compose.match(new RegExp(`postgres://${login}:`, 'g'))).toHaveLength(1);
  });

  test('backups, into a volume that the process may write to', () => {
    const [, volume, folder] = /volumes: \['(\w+):(\/\w+)'\]/.exec(service('migrate'))!;
    expect(under(compose, 'volumes', 0)).toContain(`  ${volume}:\n`);
    expect(dockerfile).toContain(`--owner=1000 --group=1000 --mode=700 ${folder}\n`);
    expect(dockerfile).toContain('USER 1000:1000\n');
  });
});

const prometheus = read('infra/prometheus/prometheus.yaml');
const alerts = read('infra/prometheus/alerts.yaml');

describe('every process that is always on', () => {
  const processes = [
    // Both connectors, with what they share.
    {
      service: 'connector',
      command: '[connect]',
      scraped: 'connector, connector-standby',
      missing: 'ConnectorMissing',
    },
    { service: 'projector', command: '[project]', scraped: 'projector', missing: 'ProjectionMissing' },
    { service: 'verify', command: '[verify, --watch', scraped: 'verify', missing: 'VerifyMissing' },
  ];
  test.each(processes)('$service: a service, a job of Prometheus, an alert where it is missing', (of) => {
    const service = under(compose, of.service, 2);
    const shared = /<<: \*connector/.test(service) ? under(compose, 'x-connector', 0) : '';
    expect(service + shared).toContain(`command: ${of.command}`);
    expect(service + shared).toContain('restart: unless-stopped\n');
    expect(prometheus).toContain(
      `- job_name: crosswalk-${of.service}\n    dns_sd_configs:\n      - names: [${of.scraped}]\n`,
    );
    expect(alerts).toContain(`- alert: Crosswalk${of.missing}\n`);
  });
});

describe('Dockerfile', () => {
  test('has the version of Node.js that the tests run on', () => {
    const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: Record<string, string> };
    expect(dockerfile).toContain(`ARG NODE_VERSION=${devDependencies.node}\n`);
  });

  test('copies only what .dockerignore lets through', () => {
    const allowed = new Set(
      read('.dockerignore')
        .match(/^!.+$/gm)!
        .map((line) => line.slice(1)),
    );
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) => match[1]!.split(' '));
    expect(copied.length).toBeGreaterThan(5);
    for (const path of copied) expect(allowed).toContain(path);
  });
});

test('alerts and metrics have the same names', () => {
  const declared = new Set(read('monitor/metrics.ts').match(/crosswalk_[a-z_]+/g));
  const used = read('infra/prometheus/alerts.yaml').match(/crosswalk_[a-z_]+/g)!;
  expect(used.filter((name) => !declared.has(name))).toEqual([]);
});

test('docs/operations.md names every metric of connectors and projectors', () => {
  const ofBoth = (text: string) =>
    [...new Set(text.match(/crosswalk_(connector|snapshot|projection)_[a-z_]+/g))].sort();
  expect(ofBoth(read('docs/operations.md'))).toEqual(ofBoth(read('monitor/metrics.ts')));
});

test.each(NODE_FLAGS)('the image and the command run Node.js with %s', (flag) => {
  expect(dockerfile).toMatch(new RegExp(`^ENTRYPOINT .*"node", .*"${flag}".*"cli/main.ts"`, 'm'));
  expect(read('cli/crosswalk.sh')).toMatch(new RegExp(`^exec .* ${flag} .*"\\$main"`, 'm'));
});

test('the image and the command give Node.js the same environment', () => {
  for (const [name, value] of Object.entries(NODE_ENVIRONMENT)) {
    if (!name.startsWith('MALLOC_')) {
      expect(read('cli/crosswalk.sh')).toMatch(new RegExp(`^export ${name}=`, 'm'));
      continue;
    }
    expect(dockerfile).toMatch(new RegExp(`^ {2}${name}=${value} `, 'm'));
    expect(read('cli/crosswalk.sh')).toContain(`export ${name}="\${${name}:-${value}}"`);
  }
});
