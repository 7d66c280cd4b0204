import {
  type Change,
  type ChangePlace,
  keyPositions,
  type Relation,
  toChanges,
  toSureChanges,
} from '../changes/change.ts';
import { parseLsn } from '../changes/lsn.ts';
import type { RelationMessage, RowMessage } from '../changes/pgoutput.ts';
import { CrosswalkError, toCrosswalkError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import { type Captured, toChangedRelation } from './encoders.ts';
import type { Position } from './position.ts';
import { tellColumns } from './told-columns.ts';

/** The source transaction of a message. `isKnown`: it is in the log already. */
interface Transaction {
  readonly finalLsn: bigint;
  readonly isKnown: boolean;
}

/** Access to the catalog and to the rest of the session. */
export interface StreamedTablesOptions {
  /** The tables as the catalog described them at the start of the session. */
  readonly loaded: ReadonlyMap<number, Captured>;
  readonly stored: Pick<Position, 'told' | 'reread'>;
  /** Whether rows of the table have been read so far. */
  readonly isRead: (table: string) => boolean;
  /** Names of types by oid. */
  readonly readTypeNames: (oids: readonly number[]) => Promise<ReadonlyMap<number, string>>;
  /** Registers the schemas of a relation. */
  readonly register: (relation: Relation) => Promise<Captured>;
  /** Called before a relation replaces another one; throws if this is not allowed now. */
  readonly onChange: (relation: Relation, loaded: Relation) => Promise<void>;
  /** Whether the table is a partition of a captured one, or was at the last check. */
  readonly isPartition: (of: Relation, oid: number) => Promise<boolean>;
  /** Throws if the rows of captured partitions are sent as rows of this table. */
  readonly assertNoAncestor: (oid: number) => Promise<void>;
  readonly log: Log;
  readonly onPassedOver: () => void;
}

export type StreamedTables = ReturnType<typeof createStreamedTables>;

/**
 * The captured tables as the stream describes them, which lags behind the catalog until its changes have passed. No
 * change is skipped silently: one that cannot become an event stops the stream, unless all rows of the table are read
 * again after it (`reread`). Changes of tables that are not captured are logged once per table and counted.
 */
export function createStreamedTables(options: StreamedTablesOptions) {
  const { loaded, log } = options;
  const captured = new Map(loaded);
  /**
   * Relations whose rows cannot become events, and need not, with the positions of their keys; undefined if these are
   * uncertain.
   */
  const unreadable = new Map<number, { readonly error: unknown; readonly key: readonly number[] | undefined }>();
  /** Tables whose skipped changes have been logged. */
  const said = new Set<string>();
  /** Names of tables that are not captured; null once logged. */
  const strangers = new Map<number, string | null>();
  /** The partitioned table that was described last: its partition follows. */
  let root: Relation | null = null;
  let told = { ...options.stored.told };
  const reread = new Map(Object.entries(options.stored.reread ?? {}).map(([table, lsn]) => [table, parseLsn(lsn)]));
  /**
   * Whether every row of a table is read after a transaction. A load that has not begun does not count: its first chunk
   * may have been read before.
   */
  const isReadAgain = (table: string, { finalLsn }: Transaction) => finalLsn < (reread.get(table) ?? 0n);
  /**
   * Partitions, by table, that do not send old rows: the server sends only the key, as an old row if the table has
   * REPLICA IDENTITY FULL.
   */
  const weak = new Map<string, Set<number>>();

  function passOver({ table }: Relation, error: unknown, transaction: Transaction): void {
    if (!isReadAgain(table, transaction)) throw error;
    options.onPassedOver();
    if (said.has(table)) return;
    said.add(table);
    log.warn(
      { table, why: toCrosswalkError(error, table).message },
      'changes of a table that is read again are passed over',
    );
  }

  /**
   * A table that was swapped for another one continues under its oid, and a temporarily renamed table under its name at
   * that time: the former is then no longer captured.
   */
  function findKnown(message: RelationMessage): Captured | undefined {
    const isSame = ({ relation }: Captured) => relation.table === message.table && relation.schema === message.schema;
    const byOid = captured.get(message.oid);
    if (byOid !== undefined && !isSame(byOid) && !loaded.has(message.oid)) captured.delete(message.oid);
    return captured.get(message.oid) ?? [...captured.values()].find(isSame);
  }

  async function adopt(message: RelationMessage, { relation }: Captured, transaction: Transaction): Promise<void> {
    const { table } = relation;
    const known = new Set(relation.columns.map(({ typeOid }) => typeOid));
    const unknown = message.columns.map(({ typeOid }) => typeOid).filter((oid) => !known.has(oid));
    const typeNames = unknown.length === 0 ? new Map<number, string>() : await options.readTypeNames(unknown);
    const changed = toChangedRelation(message, relation, typeNames);
    if (changed !== null) {
      log.info({ table, columns: changed.columns.length }, 'the columns of a table changed');
      await options.onChange(changed, [...loaded.values()].find((entry) => entry.relation.table === table)!.relation);
      captured.set(message.oid, await options.register(changed));
    }
    if (transaction.isKnown) return;
    // The request to read the table again has recorded its columns from there on.
    if (isReadAgain(table, transaction)) return;
    const next = tellColumns(
      options.isRead(table) ? told[table] : undefined,
      message.columns.map(({ name }) => name),
    );
    if (next.moved.length > 0)
      throw toChanged(relation, `names of its columns stand for other columns than before (${next.moved.join(', ')})`);
    if (next.back.length > 0)
      throw toChanged(relation, `columns have names again that rows in between did not have (${next.back.join(', ')})`);
    told = { ...told, [table]: next.told };
    if (relation.isPartitioned || message.replicaIdentity === 'f') return;
    throw toChanged(relation, `its changes were sent without old rows, under ${IDENTITIES[message.replicaIdentity]}`);
  }

  /** Changes of a partition arrive under its table's oid, and its own relation message tells how they were written. */
  async function meetPartition(message: RelationMessage, of: Relation, transaction: Transaction): Promise<void> {
    const name = `${message.schema}.${message.table}`;
    const isWeak = message.replicaIdentity !== 'f';
    const partitions = weak.get(of.table) ?? new Set();
    if (isWeak) weak.set(of.table, partitions.add(message.oid));
    else partitions.delete(message.oid);
    if (transaction.isKnown || isReadAgain(of.table, transaction)) return;
    if (!(await options.isPartition(of, message.oid)))
      throw toChanged(of, `${name} was a partition for a while, and its rows went without an event`);
    if (isWeak)
      throw new CrosswalkError(
        'row_incomplete.table',
        `${of.schema}.${of.table}: changes of its partition ${name} were sent without old rows, under ${IDENTITIES[message.replicaIdentity]}`,
        { table: of.table },
      );
  }

  /** Marks an old row that holds only the key. */
  function withoutWeakRow(message: RowMessage, relation: Relation): RowMessage {
    if (message.kind === 'insert' || message.before === null || (weak.get(relation.table)?.size ?? 0) === 0)
      return message;
    const keys = new Set(keyPositions(relation));
    const { before } = message;
    const isKeyOnly = relation.columns.every((_, position) => before.isNull(position) || keys.has(position));
    return isKeyOnly ? { ...message, beforeIsKeyOnly: true } : message;
  }

  return {
    /** A relation message, first or repeated. */
    async describe(message: RelationMessage, transaction: Transaction | null): Promise<void> {
      const known = findKnown(message);
      const of = transaction ?? { finalLsn: 0n, isKnown: true };
      const above = root;
      root = known?.relation.isPartitioned ? known.relation : null;
      if (known === undefined) {
        if (above !== null) await meetPartition(message, above, of);
        else if (!strangers.has(message.oid)) strangers.set(message.oid, `${message.schema}.${message.table}`);
        return;
      }
      unreadable.delete(message.oid);
      try {
        await adopt(message, known, of);
      } catch (error) {
        if (toCrosswalkError(error, known.relation.table).tries > 1) throw error;
        // A transaction that is in the log already is not published again, after a crash of the server for example.
        if (!of.isKnown) passOver(known.relation, error, of);
        unreadable.set(message.oid, { error, key: findKey(message, known.relation) });
      }
    },

    /** The table as it is now; undefined if it is not captured. */
    get: (oid: number): Captured | undefined => captured.get(oid),

    /** A change of a table that is not captured. */
    async passStranger(oid: number): Promise<void> {
      options.onPassedOver();
      const table = strangers.get(oid);
      if (table === null) return;
      // A captured partition may have been attached to it.
      await options.assertNoAncestor(oid);
      strangers.set(oid, null);
      log.info({ table }, 'changes of a table that is not captured are passed over');
    },

    /** The changes of a row message of a captured table; empty if they need not be published. */
    toChanges(message: RowMessage, { relation }: Captured, transaction: Transaction, place: ChangePlace): Change[] {
      const unread = unreadable.get(message.oid);
      if (unread !== undefined) {
        const { error, key } = unread;
        if (!isReadAgain(relation.table, transaction)) throw error;
        const sure = key === undefined ? [] : toSureChanges(message, relation, place, key);
        if (message.kind !== 'delete' || sure.length === 0) options.onPassedOver();
        return sure;
      }
      try {
        return toChanges(withoutWeakRow(message, relation), relation, place);
      } catch (error) {
        passOver(relation, error, transaction);
        return toSureChanges(message, relation, place);
      }
    },

    /** Rows of a table were published as read, with the columns as of that read. */
    tellRead({ table, columns }: Relation): void {
      if (told[table] === undefined) told = { ...told, [table]: { now: columns.map(({ name }) => name), gone: [] } };
    },

    /** For the position. */
    state(lsn: bigint): Pick<Position, 'told' | 'reread'> {
      for (const [table, until] of reread) if (until <= lsn) reread.delete(table);
      const left = Object.entries(options.stored.reread ?? {}).filter(([table]) => reread.has(table));
      return { told, ...(left.length === 0 ? {} : { reread: Object.fromEntries(left) }) };
    },
  };
}

const IDENTITIES = {
  d: 'REPLICA IDENTITY DEFAULT',
  n: 'REPLICA IDENTITY NOTHING',
  i: 'REPLICA IDENTITY USING INDEX',
  f: 'REPLICA IDENTITY FULL',
} as const;

/** Positions of a relation's key columns in a message; undefined if a key column has another name or type. */
function findKey(message: RelationMessage, { key, columns }: Relation): readonly number[] | undefined {
  const positions = key.map((name) => {
    const known = columns.find((column) => column.name === name);
    return message.columns.findIndex((column) => column.name === name && column.typeOid === known?.typeOid);
  });
  return positions.includes(-1) ? undefined : positions;
}

function toChanged({ schema, table }: Relation, what: string): CrosswalkError {
  return new CrosswalkError(
    'source_changed.vanished',
    `Data may have changed without an event: ${schema}.${table}: ${what}`,
    { tables: table },
  );
}
