import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { rejectKinds } from '../../support/reject-kinds.ts';
import { mapContact, mapQuote, rejectsOf } from './mapped.ts';

/** `table path: reason` of every kind that the contract of the mapping lists. */
function listedKinds(): string[] {
  const text = readFileSync(new URL('../../../docs/mapping.md', import.meta.url), 'utf8');
  const section = text.slice(text.indexOf('## rejects'), text.indexOf('## workspaces'));
  const lines = section.split('\n').filter((line) => line.startsWith('| `'));
  return lines.flatMap((line) => {
    const [, paths = '', , reason = ''] = line.split('|').map((cell) => cell.trim());
    const fields = /field in (.+)$/.exec(paths)?.[1]?.split(', ');
    if (fields !== undefined) return fields.map((field) => `quotes items[2].${field}: ${reason.replaceAll('`', '')}`);
    return paths.split('; ').flatMap((group) => {
      const tables = /\(([a-z, ]+)\)$/.exec(group)?.[1]?.split(', ') ?? ['quotes'];
      const names = [...group.matchAll(/`([^`]+)`/g)].map(([, name]) => name!.replace('<ordinal>', '2'));
      return tables.flatMap((table) => names.map((name) => `${table} ${name}: ${reason.replaceAll('`', '')}`));
    });
  });
}

describe('a value without a valid form', () => {
  it('is here in every kind that the contract lists', () => {
    const here = new Set(rejectKinds.map(({ table, path, reason }) => `${table} ${path}: ${reason}`));
    expect([...here].sort()).toEqual(listedKinds().sort());
    expect(here.size).toBe(20);
  });

  it.each(rejectKinds)('$table $path $rawValue is a reject until it is corrected', (kind) => {
    const map = kind.table === 'contacts' ? mapContact : mapQuote;
    expect(rejectsOf(map(kind.cells))).toEqual([[kind.path, kind.rawValue, kind.reason]]);
    expect(rejectsOf(map(kind.corrected))).toEqual([]);
  });
});
