import * as v from 'valibot';
import { CrosswalkError } from '../../runtime/errors.ts';
import { itemKinds } from './ddl/item.ts';

const rows = v.object({ rows: v.pipe(v.number(), v.integer(), v.minValue(0)), checksum: v.string() });

const statement = v.object({
  kind: v.picklist([...itemKinds, 'pg_dump']),
  name: v.string(),
  roles: v.array(v.string()),
  sql: v.string(),
});

const schema = v.object({
  format: v.literal(1),
  /** ISO 8601, UTC. */
  takenAt: v.string(),
  server: v.object({
    version: v.string(),
    major: v.pipe(v.number(), v.integer()),
    systemId: v.string(),
    database: v.string(),
    encoding: v.string(),
  }),
  /** Everything committed before it is in the backup. */
  lsn: v.string(),
  snapshot: v.string(),
  schemas: v.pipe(v.array(v.string()), v.minLength(1)),
  /** The tool that wrote the definitions: this program, or pg_dump with its version. */
  definedBy: v.string(),
  tables: v.array(
    v.object({
      schema: v.string(),
      name: v.string(),
      columns: v.array(v.string()),
      file: v.string(),
      all: rows,
      irreplaceable: v.nullable(rows),
    }),
  ),
  sequences: v.array(v.object({ schema: v.string(), name: v.string(), lastValue: v.string(), isCalled: v.boolean() })),
  notes: v.array(v.string()),
});

/** Contents and origin of a backup. */
export type Manifest = v.InferOutput<typeof schema>;
/** A statement of the definitions. */
export type Statement = v.InferOutput<typeof statement>;
/** Definitions, before and after rows are loaded. */
export interface Definitions {
  readonly before: readonly Statement[];
  readonly after: readonly Statement[];
}

const definitions = v.object({ before: v.array(statement), after: v.array(statement) });

export function parseManifest(text: string): Manifest {
  return parse(schema, text, 'manifest.json');
}

export function parseDefinitions(text: string): Definitions {
  return parse(definitions, text, 'definitions.json');
}

function parse<T>(shape: v.GenericSchema<unknown, T>, text: string, file: string): T {
  try {
    return v.parse(shape, JSON.parse(text));
  } catch (error) {
    throw new CrosswalkError(
      'backup_invalid.no_backup',
      `${file} is not that of a backup, or of another version of crosswalk`,
      { cause: error },
    );
  }
}
