import { describe, expect, test } from 'vitest';
import { printSqlChecks } from '../../../cli/commands/verify-sql.ts';
import { isOneDatabase, parseSqlChecks, toPsqlScript } from '../../../projectors/verify/sql-checks.ts';
import { crm, parseConfig } from '../../support/crm.ts';

const checks = { legacy: 'LEGACY PART;', target: 'TARGET PART;' };
const at = (legacyUrl: string, targetUrl: string) =>
  toPsqlScript(checks, 'shop', { legacyUrl, targetUrl, legacySchema: 'public', targetSchema: 'shop' });

describe('a file of checks', () => {
  test('has its parts in any order', () => {
    const text = '-- about it\n-- crosswalk: target\nTARGET PART;\n\n-- crosswalk: legacy\nLEGACY PART;\n';
    expect(parseSqlChecks(text)).toEqual(checks);
  });
  test.each([
    ['-- crosswalk: legacy\nA;', 'no part `-- crosswalk: target`'],
    ['A;', 'no part `-- crosswalk: legacy`'],
    [
      '-- crosswalk: legacy\nA;\n-- crosswalk: legacy\nB;\n-- crosswalk: target\nC;',
      'two parts `-- crosswalk: legacy`',
    ],
  ])('is refused: %s', (text, message) => expect(() => parseSqlChecks(text)).toThrow(message));
});

describe('the script', () => {
  test('of one database connects to nothing else and reads it in one snapshot', () => {
    const script = at('postgres://a:secret@db:5432/app', 'postgres://b:other@db:5432/app');
    expect(isOneDatabase({ legacyUrl: 'postgres://a@db:5432/app', targetUrl: 'postgres://b@db/app' })).toBe(true);
    expect(script).not.toContain('\\connect');
    expect(script.match(/^BEGIN /gm)).toHaveLength(1);
    expect(script.indexOf('LEGACY PART;')).toBeLessThan(script.indexOf('TARGET PART;'));
  });

  test('of two begins in the legacy one and connects to the other, without a password', () => {
    const script = at(
      'postgres://a:secret@legacy:5432/app?sslmode=require',
      'postgres://b:hidden@db:5432/app?password=x',
    );
    expect(script.match(/^\\connect .*$/gm)).toEqual(["\\connect -reuse-previous=off 'postgres://b@db:5432/app'"]);
    expect(script).toContain('psql -X -f checks.sql postgres://a@legacy:5432/app?sslmode=require');
    expect(script).not.toMatch(/secret|hidden|password=/);
    expect(script.match(/^BEGIN /gm)).toHaveLength(2);
  });
});

test('a pipeline without such checks says how it gets some', async () => {
  const { sqlChecks: _, ...pipeline } = crm;
  await expect(printSqlChecks({ pipeline, config: parseConfig({}) } as never, {})).rejects.toThrow(
    'Pipeline crm has no checks for psql',
  );
});
