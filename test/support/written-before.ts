// What version 0.1.0 wrote, as it wrote it: later versions read all of it. Nothing here is ever changed; what a later version writes otherwise is added.

/** The table that schemas and messages are of. */
export const TABLE =
  'CREATE TABLE docs (id integer PRIMARY KEY, note text, at timestamptz, price numeric, "n-o" bigint)';

/** The schemas in the registry, with TOPIC for `<prefix>.<schema>.<table>`. */
export const KEY_SCHEMA = {
  type: 'record',
  name: 'Key',
  namespace: 'TOPIC',
  fields: [{ name: 'id', type: 'int' }],
  'connect.name': 'TOPIC.Key',
};
export const VALUE_SCHEMA = {
  type: 'record',
  name: 'Envelope',
  namespace: 'TOPIC',
  fields: [
    {
      name: 'before',
      type: [
        'null',
        {
          type: 'record',
          name: 'Value',
          fields: [
            { name: 'id', type: ['null', 'int'], default: null },
            { name: 'note', type: ['null', 'string'], default: null },
            {
              name: 'at',
              type: [
                'null',
                { type: 'string', 'connect.version': 1, 'connect.name': 'io.debezium.time.ZonedTimestamp' },
              ],
              default: null,
            },
            { name: 'price', type: ['null', 'string'], default: null },
            {
              name: 'n_o',
              type: ['null', { type: 'long', 'connect.parameters': { '__debezium.source.column.name': 'n-o' } }],
              default: null,
            },
          ],
          'connect.name': 'TOPIC.Value',
        },
      ],
      default: null,
    },
    { name: 'after', type: ['null', 'Value'], default: null },
    {
      name: 'source',
      type: {
        type: 'record',
        name: 'Source',
        namespace: 'io.debezium.connector.postgresql',
        fields: [
          { name: 'version', type: 'string' },
          { name: 'connector', type: 'string' },
          { name: 'name', type: 'string' },
          { name: 'ts_ms', type: 'long' },
          {
            name: 'snapshot',
            type: [
              {
                type: 'string',
                'connect.version': 1,
                'connect.parameters': {
                  allowed: 'true,first,first_in_data_collection,last_in_data_collection,last,false,incremental',
                },
                'connect.default': 'false',
                'connect.name': 'io.debezium.data.Enum',
              },
              'null',
            ],
            default: 'false',
          },
          { name: 'db', type: 'string' },
          { name: 'sequence', type: ['null', 'string'], default: null },
          { name: 'ts_us', type: ['null', 'long'], default: null },
          { name: 'ts_ns', type: ['null', 'long'], default: null },
          { name: 'schema', type: 'string' },
          { name: 'table', type: 'string' },
          { name: 'txId', type: ['null', 'long'], default: null },
          { name: 'lsn', type: ['null', 'long'], default: null },
          { name: 'xmin', type: ['null', 'long'], default: null },
          { name: 'timeline', type: 'int' },
          { name: 'commit_lsn', type: 'long' },
          { name: 'ordinal', type: 'long' },
        ],
        'connect.version': 1,
        'connect.name': 'io.debezium.connector.postgresql.Source',
      },
    },
    {
      name: 'transaction',
      type: [
        'null',
        {
          type: 'record',
          name: 'block',
          namespace: 'event',
          fields: [
            { name: 'id', type: 'string' },
            { name: 'total_order', type: 'long' },
            { name: 'data_collection_order', type: 'long' },
          ],
          'connect.version': 1,
          'connect.name': 'event.block',
        },
      ],
      default: null,
    },
    { name: 'op', type: 'string' },
    { name: 'ts_ms', type: ['null', 'long'], default: null },
    { name: 'ts_us', type: ['null', 'long'], default: null },
    { name: 'ts_ns', type: ['null', 'long'], default: null },
  ],
  'connect.version': 2,
  'connect.name': 'TOPIC.Envelope',
};

/** Key and value of an update in the log, base64: schemas 7 and 8. */
export const KEY = 'AAAAAAcC';
export const VALUE =
  'AAAAAAgCAgICBMOkAjYyMDI0LTEyLTMxVDIzOjU5OjU5LjEyMzQ1NloCCDEuNTAC/v//////////AQICAgACEGluZmluaXR5AgZOYU4ACjAuMS4wFHBvc3RncmVzcWwMbGVnYWN59sGHjoRlAApmYWxzZQhzaG9wAi5bIjIzODAzNzIwIiwiMjM4MDM2NjQiXQKAidvqjaiVBgKAqL7XiazBljAMcHVibGljCGRvY3MC3AsCoNzZFgACkN3ZFgYCGDc1MDoyMzgwNDc0NAgEAnUCkMOHjoRlAoC15OqNqJUGAoCIvqCKrMGWMA==';

/** Fields of the position records that there were, oldest first, and of what a position is bound to. */
export const POSITIONS = [
  {
    fields: ['v', 'bound', 'lsn', 'sourceMicros', 'unseenXids', 'snapshot', 'offsets'],
    bound: ['systemId', 'timeline', 'database', 'slot', 'clusterId'],
  },
  {
    fields: ['v', 'bound', 'lsn', 'sourceMicros', 'last', 'unseenXids', 'snapshot', 'source', 'offsets'],
    bound: ['systemId', 'timeline', 'history', 'database', 'slot', 'clusterId'],
  },
] as const;
