import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { kafkaSettings } from '../../infra/stack/kafka.ts';
import { postgresSettings } from '../../infra/stack/postgres.ts';

// There may be no Docker engine to try the image and the stack on: what they share with the tested stack is compared instead.

const root = resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const compose = read('infra/docker/compose.yaml');
const dockerfile = read('infra/docker/Dockerfile');

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
  const declared = new Set(read('runtime/metrics.ts').match(/crosswalk_[a-z_]+/g));
  const used = read('infra/prometheus/alerts.yaml').match(/crosswalk_[a-z_]+/g)!;
  expect(used.filter((name) => !declared.has(name))).toEqual([]);
});
