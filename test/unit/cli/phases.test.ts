import { describe, expect, test } from 'vitest';
import { parsePhase, phases, phasesTo, toPlanText } from '../../../cli/phases/all.ts';
import { stateBefore } from '../../../cli/phases/capture.ts';
import { lastApplied } from '../../../cli/phases/schema.ts';
import { toCountLines, toScript, toStandings } from '../../../cli/phases/show.ts';
import { toVerifyCheck } from '../../../cli/phases/verify.ts';
import { type CaptureState, planCaptureUndo } from '../../../connectors/capture-state.ts';
import {
  type LogAction,
  type LogEntry,
  type LogVerdict,
  type PhaseName,
  phaseNames,
} from '../../../schemas/phase-log.ts';
import { crm } from '../../support/crm.ts';

const entry = (phase: PhaseName, action: LogAction, verdict: LogVerdict, detail: unknown = {}): LogEntry => ({
  ...{ id: '1', runId: 'r', at: '2025-01-01 00:00:00', role: 'owner', operator: 'me@here' },
  ...{ phase, action, verdict, before: null, after: null, detail, reason: null },
});

describe('phases', () => {
  test('are those of the log, in its order; each says what it does and undoes', () => {
    expect(phases.map(({ name }) => name)).toEqual(phaseNames);
    for (const phase of phases) expect(phase.summary.length * phase.rollbackSummary.length).toBeGreaterThan(0);
    expect(phasesTo('schema').map(({ name }) => name)).toEqual(['prepare', 'backup', 'schema']);
    expect(() => parsePhase('schem')).toThrow('There is no phase schem');
  });

  test('have the names of a plan beside their own', () => {
    expect(parsePhase('phase-4', crm.plan).name).toBe('load');
    expect(parsePhase('load', crm.plan).name).toBe('load');
    expect(() => parsePhase('phase-4')).toThrow('There is no phase phase-4');
    expect(crm.plan!.map(({ name }) => name)).toEqual([
      ...Array.from({ length: 8 }, (_, at) => `phase-${at + 1}`),
      ...Array.from({ length: 10 }, (_, at) => `step-${at + 1}`),
    ]);
    expect(toPlanText('load', crm.plan)).toBe('phase-4 (data migration), step-4 (data migration)');
    expect(toPlanText('opt-in', crm.plan)).toBe(null);
  });

  test('stand as their last entries say; a no-go changes nothing', () => {
    const states = (...entries: LogEntry[]) => toStandings(entries).find(({ phase }) => phase === 'schema')!.state;
    expect(states()).toBe('not run');
    expect(states(entry('schema', 'run', 'no-go'))).toBe('no-go');
    expect(states(entry('schema', 'run', 'begun'))).toBe('begun, not ended');
    expect(
      states(entry('schema', 'run', 'begun'), entry('schema', 'run', 'done'), entry('schema', 'rollback', 'no-go')),
    ).toBe('done');
    expect(
      states(entry('schema', 'run', 'done'), entry('schema', 'rollback', 'begun'), entry('schema', 'rollback', 'done')),
    ).toBe('rolled back');
    expect(
      states(entry('schema', 'run', 'failed'), entry('schema', 'down', 'done'), entry('backup', 'run', 'done')),
    ).toBe('failed');
  });
});

describe('the last run of the schema phase', () => {
  const begun = (...pending: string[]) => entry('schema', 'run', 'begun', { pending });
  const done = entry('schema', 'run', 'done');
  const applied = new Set(['a', 'b', 'c', 'd']);

  test('is what it had to apply, as far as it is applied', () => {
    expect(lastApplied([begun('a', 'b'), done, begun('c', 'd', 'e'), done], applied)).toEqual(['c', 'd']);
    expect(
      lastApplied(
        [begun('a', 'b'), done, begun('c', 'd'), done, entry('schema', 'rollback', 'begun')],
        new Set(['a', 'b', 'c']),
      ),
    ).toEqual(['c']);
    expect(lastApplied([begun('a'), done, done, done], applied)).toEqual(['a']);
    expect(lastApplied([], applied)).toEqual([]);
  });

  test('is none once it was taken back: the run before it is left alone', () => {
    const back = entry('schema', 'rollback', 'done');
    const runs = [begun('a', 'b'), done, begun('c', 'd'), done];
    expect(lastApplied([...runs, back], new Set(['a', 'b']))).toEqual([]);
    expect(lastApplied([...runs, back, done, begun('c'), done], applied)).toEqual(['c']);
  });

  test('is one with those before it that did not come to their end', () => {
    const failed = entry('schema', 'run', 'failed');
    expect(
      lastApplied([begun('a'), done, begun('b', 'c', 'd'), begun('c', 'd'), failed, begun('d'), done], applied),
    ).toEqual(['b', 'c', 'd']);
  });
});

describe('the capture as it was before', () => {
  const state = (identities: Record<string, string>, more: Partial<CaptureState> = {}): CaptureState => ({
    identities: Object.fromEntries(
      Object.entries(identities).map(([table, kind]) => [table, { kind, index: kind === 'i' ? 'x' : null }]),
    ),
    publication: null,
    hasSlot: false,
    ...more,
  });
  const begun = (of: CaptureState) => entry('capture', 'run', 'begun', { state: of });

  test('is what was recorded first of each table since the last rollback', () => {
    expect(stateBefore([])).toBeNull();
    expect(stateBefore([begun(state({ a: 'd' })), begun(state({ a: 'f', b: 'n' }, { hasSlot: true }))])).toEqual(
      state({ a: 'd', b: 'n' }),
    );
    expect(
      stateBefore([begun(state({ a: 'd' })), entry('capture', 'rollback', 'done'), begun(state({ a: 'n' }))]),
    ).toEqual(state({ a: 'n' }));
    expect(stateBefore([begun(state({ a: 'd' })), entry('capture', 'rollback', 'done')])).toBeNull();
  });

  const options = { schema: 'public', tables: [], publication: 'p', slot: `it's` };
  const publication = {
    ...{ allTables: false, publish: 'insert', viaRoot: false, generated: 'none' as const, schemas: [] },
    tables: [{ name: 'public.a', part: ' (id) WHERE ((id > 0))' }],
  };

  test('is reached by the statements that differ, the slot first', () => {
    const now = state(
      { a: 'f', b: 'f', c: 'f', d: 'f' },
      { hasSlot: true, publication: { ...publication, tables: [], publish: 'insert, update' } },
    );
    const before = state({ a: 'd', b: 'i', c: 'n', d: 'f', gone: 'd' }, { publication });
    expect(planCaptureUndo(before, now, options)).toEqual([
      `SELECT pg_catalog.pg_drop_replication_slot('it''s')`,
      `ALTER PUBLICATION "p" SET TABLE public.a (id) WHERE ((id > 0))`,
      `ALTER PUBLICATION "p" SET (publish = 'insert', publish_via_partition_root = false, publish_generated_columns = none)`,
      `ALTER TABLE "public"."a" REPLICA IDENTITY DEFAULT`,
      `ALTER TABLE "public"."b" REPLICA IDENTITY USING INDEX "x"`,
      `ALTER TABLE "public"."c" REPLICA IDENTITY NOTHING`,
    ]);
    expect(planCaptureUndo(now, now, options)).toEqual([]);
  });

  test('is a publication dropped, or made again', () => {
    expect(planCaptureUndo(state({}), state({}, { publication }), options)).toEqual(['DROP PUBLICATION "p"']);
    expect(
      planCaptureUndo(state({}, { publication: { ...publication, allTables: true, tables: [] } }), state({}), options),
    ).toEqual([
      `CREATE PUBLICATION "p" FOR ALL TABLES WITH (publish = 'insert', publish_via_partition_root = false, publish_generated_columns = none)`,
    ]);
    expect(
      planCaptureUndo(state({}, { publication: { ...publication, tables: [] } }), state({}, { publication }), options),
    ).toEqual(['ALTER PUBLICATION "p" DROP TABLE public.a']);
  });
});

test('counts are shown once where they stay, twice where they change, and not where there is nothing', () => {
  expect(
    toCountLines(
      { a: { rows: 1200, indexes: 1 }, gone: { rows: 3 } },
      { a: { rows: 1200, indexes: 2 }, b: { rows: 0 } },
    ),
  ).toEqual(['a     1,200 rows, 1 → 2 indexes', 'gone  3 → 0 rows']);
});

test('a script names the database of each part', () => {
  expect(
    toScript([
      { database: 'target', title: 'crm/001_a', sql: 'SELECT 1;\n' },
      { database: 'legacy', title: 'b', sql: 'SELECT 2;' },
    ]),
  ).toBe('-- section, target database: crm/001_a\nSELECT 1;\n\n-- section, legacy database: b\nSELECT 2;\n');
});

test('a verification is as good as its exit code', () => {
  expect([0, 1, 2, null].map((code) => toVerifyCheck(code).state)).toEqual(['ok', 'failing', 'failing', 'failing']);
});
