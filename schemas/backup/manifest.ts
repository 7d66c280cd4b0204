import { z } from 'zod';
import { CrosswalkError } from '../../runtime/errors.ts';
import { itemKinds } from './ddl/item.ts';

const rows = z.object({ rows: z.number().int().nonnegative(), checksum: z.string() });

const statement = z.object({
  kind: z.enum([...itemKinds, 'pg_dump']),
  name: z.string(),
  roles: z.array(z.string()),
  sql: z.string(),
});

const schema = z.object({
  format: z.literal(1),
  /** ISO 8601, UTC. */
  takenAt: z.string(),
  server: z.object({
    version: z.string(),
    major: z.number().int(),
    systemId: z.string(),
    database: z.string(),
    encoding: z.string(),
  }),
  /** Everything committed before it is in the backup. */
  lsn: z.string(),
  snapshot: z.string(),
  schemas: z.array(z.string()).min(1),
  /** The tool that wrote the definitions: this program, or pg_dump with its version. */
  definedBy: z.string(),
  tables: z.array(
    z.object({
      schema: z.string(),
      name: z.string(),
      columns: z.array(z.string()),
      file: z.string(),
      all: rows,
      irreplaceable: rows.nullable(),
    }),
  ),
  sequences: z.array(z.object({ schema: z.string(), name: z.string(), lastValue: z.string(), isCalled: z.boolean() })),
  notes: z.array(z.string()),
});

/** Contents and origin of a backup. */
export type Manifest = z.infer<typeof schema>;
/** A statement of the definitions. */
export type Statement = z.infer<typeof statement>;
/** Definitions, before and after rows are loaded. */
export interface Definitions {
  readonly before: readonly Statement[];
  readonly after: readonly Statement[];
}

const definitions = z.object({ before: z.array(statement), after: z.array(statement) });

export function parseManifest(text: string): Manifest {
  return parse(schema, text, 'manifest.json');
}

export function parseDefinitions(text: string): Definitions {
  return parse(definitions, text, 'definitions.json');
}

function parse<T>(shape: z.ZodType<T>, text: string, file: string): T {
  try {
    return shape.parse(JSON.parse(text));
  } catch (error) {
    throw new CrosswalkError(
      'backup_invalid.no_backup',
      `${file} is not that of a backup, or of another version of crosswalk`,
      { cause: error },
    );
  }
}
