// Facts of a legacy database that nothing is wrong with, for tests to spoil.
import type { Facts, ServerFacts, TableFacts } from '../../assess/facts.ts';
import type { MappingSummary } from '../../assess/mapping.ts';
import type { CaptureOptions, TableState } from '../../connectors/source-state.ts';

export const CAPTURE: CaptureOptions = { schema: 'public', tables: ['people'], publication: 'crosswalk' };

export const NO_MAPPING: MappingSummary = {
  tables: [],
  merges: [],
  tenants: { count: 0, unassignedRows: 0, largest: [], isExact: true },
};

export function soundServer(changes: Partial<ServerFacts> = {}): ServerFacts {
  return {
    version: '18.4',
    versionNumber: 180_004,
    isStandby: false,
    encoding: 'UTF8',
    databaseBytes: 1e9,
    signs: { roles: [], functions: [], settings: [], host: 'db.internal', port: 5432 },
    role: {
      name: 'connector',
      isSuperuser: false,
      mayReplicate: true,
      mayUseSchema: true,
      seesOthers: true,
      unreadable: [],
    },
    wal: {
      seconds: 3,
      bytesPerSecond: 1000,
      averageBytesPerSecond: 500,
      averageSeconds: 86_400,
      slotLimitBytes: 50e9,
    },
    transactions: { count: 2, oldestSeconds: 1 },
    prepared: { count: 0, oldestSeconds: 0 },
    idleSlots: [],
    otherSchemas: [],
    ...changes,
  };
}

export function soundTable(name: string, changes: Partial<TableFacts> = {}): TableFacts {
  return {
    name,
    kind: 'table',
    rows: 1000,
    bytes: 100_000,
    columns: [
      { name: 'id', type: 'bigint', typeOid: 20, kind: 'b', isArray: false, isNullable: false, generated: null },
    ],
    primaryKey: ['id'],
    candidates: [],
    identity: 'f',
    isUnlogged: false,
    isPartition: false,
    partitions: 0,
    inheritedBy: [],
    inheritsFrom: [],
    rowSecurity: 'none',
    triggers: [],
    hasRules: false,
    ...changes,
  };
}

const STATE: TableState = {
  oid: '16400',
  file: '16400',
  published: ['table 1'],
  key: '1',
  columns: '20:700',
  names: ['id'],
  isPartitioned: false,
  identity: 'f',
  hasRowFilter: false,
  hasColumnList: false,
  hidesRows: false,
  generated: [],
  persistence: 'p',
  isHeap: true,
  keyFault: null,
  keyName: 'pk',
  closedSchemas: [],
  partitionFaults: [],
  sentAs: null,
  children: [],
};

/** `states`: what the source lacks, by table. */
export function soundFacts(
  changes: Partial<Facts> = {},
  states: Readonly<Record<string, Partial<TableState>>> = {},
  source: Partial<NonNullable<Facts['source']>> = {},
): Facts {
  const tables = changes.tables ?? [soundTable('people')];
  return {
    server: soundServer(),
    checks: [],
    checksProblem: null,
    hints: [],
    source: {
      walLevel: 'logical',
      role: 'connector',
      publication: { id: '1', unpublished: [], viaRoot: true, withGenerated: true },
      canPublishGenerated: true,
      tables: Object.fromEntries(tables.map(({ name }) => [name, { ...STATE, ...states[name] }])),
      ...source,
    },
    tables,
    others: [],
    ...changes,
  };
}
