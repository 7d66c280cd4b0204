// Processes that run for months do not load Node.js's second HTTP client.
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { http } from '../../../runtime/node-http.ts';

const root = resolve(import.meta.dirname, '../../..');
const ENTRIES = ['connectors/connect.ts', 'projectors/project.ts', 'monitor/http.ts', 'pipelines/crm/pipeline.ts'];

function modulesAfter(imports: readonly string[]): string[] {
  const script = `for (const name of ${JSON.stringify(imports)}) await import(name);
    process.stdout.write(JSON.stringify(process.moduleLoadList));`;
  const options = { cwd: root, encoding: 'utf8' } as const;
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', script], options)) as string[];
}

test('connector, projector and what watches them load http, and not undici', () => {
  expect(http.createServer).toBeTypeOf('function');
  const loaded = modulesAfter(ENTRIES.map((entry) => `./${entry}`));
  expect(loaded).toContain('NativeModule http');
  expect(loaded.filter((name) => name.includes('undici'))).toEqual([]);
  // The list tells: it is there where http is imported by name.
  expect(modulesAfter(['node:http']).some((name) => name.includes('undici'))).toBe(true);
});
