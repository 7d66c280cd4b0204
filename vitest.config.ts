import { configDefaults, defineConfig } from 'vitest/config';

/** Attacks that take long, or servers of their own: `make attacks` runs them, with all others. */
const LONG = [
  'connector/big-transaction',
  'connector/broken-servers',
  'connector/codecs',
  'connector/hanging-commit',
  'connector/huge',
  'connector/kafka-rights',
  'connector/read-only-registry',
  'connector/record-times',
  'connector/stalled',
  'connector/takeover',
  'kafka-addresses',
  'kafka-logins',
  'projector/frozen',
  'projector/large-row',
  'projector/long-batch',
  'projector/readers',
  'projector/stalled-target',
  'rebuild/interrupted',
  'rebuild/traffic',
  'slot/failover',
  'snapshot/read-ahead',
  'source/moved-names',
  'stack',
  'stalled-exit',
  'verify/hanging-commit',
  'verify/huge',
  'verify/memory',
  'verify/no-false-alarm',
].map((name) => `test/integration/${name}.test.ts`);
// biome-ignore lint/style/noProcessEnv: a choice of whoever runs the tests
const left = process.env.CROSSWALK_LONG === undefined ? LONG : [];

export default defineConfig({
  test: {
    // The servers share the machine with the tests, and two files at a time leave a third of two cores idle: tests wait for conditions most of their time.
    maxWorkers: 3,
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 60_000 } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...left],
          globalSetup: ['test/support/stack.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
      {
        // Each of these starts servers of its own, as large as those of a whole integration run: one file at a time.
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
