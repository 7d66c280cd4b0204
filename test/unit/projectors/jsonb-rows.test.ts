// Rows as a parameter of type `jsonb` in PostgreSQL's binary form: a version byte and the JSON text.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Cell } from '../../../projectors/projection.ts';
import { toJsonbRows } from '../../../projectors/write/jsonb-rows.ts';

const seed = Number(process.env.CROSSWALK_SEED ?? Date.now());

function read(parameter: Buffer): unknown {
  expect(parameter[0]).toBe(1);
  return JSON.parse(parameter.toString('utf8', 1));
}

test('no rows are an empty array', () => {
  expect(toJsonbRows([]).toString('latin1')).toBe('\u0001[]');
});

test('any texts come back, and a later call changes no earlier parameter', () => {
  const cell = fc.option(fc.oneof(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.constantFrom('"', '\\', '\n')));
  const someRows = fc.array(fc.array(cell, { maxLength: 5 }), { maxLength: 5 });
  fc.assert(
    fc.property(someRows, someRows, (first, second) => {
      const parameter = toJsonbRows(first);
      expect(read(toJsonbRows(second))).toEqual(second);
      expect(read(parameter)).toEqual(first);
    }),
    { seed, numRuns: 500 },
  );
});

test('texts larger than the buffer come back, whatever they take in UTF-8', () => {
  for (const text of ['x', '\u20ac', '\u{1f600}', '"']) {
    const rows = [[text.repeat(200_000), null], [text.repeat(900_000)], ['end']];
    expect(read(toJsonbRows(rows))).toEqual(rows);
  }
});

test('each row is taken when the one before is written', () => {
  const cells: Cell[] = [null];
  function* rows() {
    for (const text of ['a', 'b', 'c']) {
      cells[0] = text;
      yield cells;
    }
  }
  expect(read(toJsonbRows(rows()))).toEqual([['a'], ['b'], ['c']]);
});
