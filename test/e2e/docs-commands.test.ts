// Every command of README.md and docs/, as it is printed, on the stack of `make up`.
//
// Pages come in the order of PAGES, commands of a page in the order of the page. No command of these pages takes away what a later one needs: those that
// empty or roll back something are run against the second pipeline of README.md's "On a real legacy database", which has a PostgreSQL of its own, or in a
// dry run. What the pages leave to the reader (ids, addresses, passwords) is filled in from `placeholders`; what is not run is in `leftOut`, with the reason.

import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLegacySchema, loadSample } from '../../pipelines/crm/sample/load.ts';
import { connect } from '../../runtime/postgres.ts';
import {
  type DocBlock,
  isShell,
  parseBlocks,
  parseCommandTable,
  parseInlineCommands,
  toCommands,
} from '../support/doc-blocks.ts';
import { writePastSamples } from '../support/gate-rig.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { createStackFolder, type StackFolder, type TypeOptions } from '../support/own-stack-folder.ts';
import { waitUntil } from '../support/wait-until.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (page: string) => readFileSync(join(root, page), 'utf8');
const PAGES = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`)
    .sort(),
];
const ROWS = 300;
const UP_LIMIT_MS = 180_000;

/** What is not run here, by page and first words, and why. An entry that no page has any more is an error. */
const leftOut: readonly [page: string, begin: string, why: string][] = [
  ['docs/queries.md', '', 'test/integration/bench-queries.test.ts runs the benchmark, with few rows'],
  ['README.md', 'make demo', 'test/e2e/fresh-clone.test.ts runs it, in a fresh clone'],
  ['README.md', 'make test', 'it is what runs this'],
  ['README.md', 'npm pack', 'test/integration/package.test.ts packs, in a copy of the working copy'],
  ['README.md', 'npm install ', 'test/integration/package.test.ts unpacks it, without a network'],
  ['README.md', 'npx crosswalk ', 'test/integration/package.test.ts runs the command of the package'],
  ['docs/cutover.md', 'docker compose ', 'needs a Docker engine; test/unit/packaging.test.ts compares the files'],
  ['docs/guarantees.md', 'npx vitest run ', 'one file of this run'],
  ['docs/guarantees.md', 'CROSSWALK_KILLS=100 ', 'an attack; `make attacks` runs them all'],
  ['docs/guarantees.md', 'make chaos ', 'takes minutes; attacks a stack of its own'],
  ['docs/guarantees.md', 'make bugs', 'takes more than half an hour; test/unit/bugs.test.ts'],
  ['docs/your-own-tables.md', 'npx crosswalk ', 'test/integration/your-own-tables.test.ts types the page'],
  ['docs/your-own-tables.md', 'npm install', 'test/integration/your-own-tables.test.ts types the page'],
  ['docs/your-own-tables.md', 'npm test', 'test/integration/your-own-tables.test.ts types the page'],
  ['docs/your-own-tables.md', 'export LEGACY_DATABASE_URL=', 'test/integration/your-own-tables.test.ts types the page'],
  ['docs/your-own-tables.md', 'npx tsc ', 'test/integration/your-own-tables.test.ts types the page'],
];
/** SQL that is not run here, by page and first words. */
const sqlLeftOut: typeof leftOut = [
  ['docs/queries.md', '', 'has parameters; test/unit/bench/queries.test.ts compares it with what the benchmark runs'],
  ['docs/operations.md', '-- on the primary, ', 'needs a standby; test/integration/slot/failover.test.ts'],
];

/** What a command of a page is expected to do, where that is not: end with exit code 0. `code`: what the page says. */
interface Plan extends TypeOptions {
  readonly code?: number;
  readonly says?: RegExp;
  readonly before?: () => Promise<void>;
  readonly after?: () => Promise<void>;
}
const YES = { answers: 'y\ny\ny\ny\ny\ny' };

/** By page and command, as printed. One that no page has any more is an error. */
const plans: Record<string, Record<string, Plan>> = {
  'README.md': {
    'cli/crosswalk.sh gate ws-north': { code: 1, says: /^Gate \d+ for \S+: no-go/m },
    'cli/crosswalk.sh stage set ws-north 1 --by ann': { code: 1, says: /^Refused: the gate does not pass/m },
    'cli/crosswalk.sh stage set ws-north 0 --by ann --reason "incident 7"': { says: /is at stage 0/ },
  },
  'docs/cutover.md': {
    // Its example is a gate that does not pass, either. The one that does stands further below in the page.
    'cli/crosswalk.sh gate confirm all rollback --by ann --note "ws-test, 1 → 0"': { before: pretendAnHour },
    'cli/crosswalk.sh stage get': { says: /^ws-\S+ +1 /m },
    'cli/crosswalk.sh stage set ws-north 0 --by ann --reason "wrong totals on the job page"': { says: /stage 1 → 0/ },
    'cli/crosswalk.sh stage set all 0 --by ann --reason "incident 7"': { says: /all others: stage 1 → 0/ },
  },
  'docs/lineage.md': {},
  'docs/operations.md': {
    // Nobody means it here.
    'cli/crosswalk.sh resnapshot --skip': { code: 1, answers: 'n', says: /\[y\/N\]/ },
    'cli/crosswalk.sh snapshot contacts': { ...YES, says: /done/ },
    'cli/crosswalk.sh snapshot contacts --tenant ws-north': { ...YES, says: /done/ },
    'cli/crosswalk.sh snapshot contacts --max-rate 5000': { ...YES, says: /done/ },
    'cli/crosswalk.sh snapshot quotes --where "status = \'draft\'"': { ...YES, says: /done/ },
    'cli/crosswalk.sh snapshot quotes --key 7c4f… --key 91aa…': { ...YES, says: /done/ },
    'cli/crosswalk.sh snapshot quotes --key 7c4f… --repair': { ...YES, says: /done/ },
    'cli/crosswalk.sh dlq list': { before: makeLetters, says: /contacts/ },
    // The cause is still there.
    'cli/crosswalk.sh dlq redrive --all --dry-run': { code: 1 },
    'cli/crosswalk.sh dlq redrive contacts:legacy.public.contacts/3@1042': { before: allowLetters },
    // The row stays different, as the page says: it goes, so that what verifies further below finds everything equal.
    'cli/crosswalk.sh dlq discard contacts:legacy.public.contacts/5@977 --reason "a test row"': {
      ...YES,
      after: removeLetters,
    },
  },
  'docs/phases.md': {
    'cli/crosswalk.sh migrate run': YES,
    // Projectors are at work here.
    'cli/crosswalk.sh backup restore .crosswalk/backups/by-hand --dry-run': { code: 1, says: /Still connected/ },
    'cli/crosswalk.sh backup restore .crosswalk/backups/by-hand --replace --yes-really crm': {
      code: 2,
      says: /Still connected/,
    },
  },
  'docs/rebuild.md': {
    'cli/crosswalk.sh rebuild quotes': YES,
    'cli/crosswalk.sh rebuild contacts --from 2026-07-01T10:30:00Z': YES,
  },
  'docs/verification.md': {
    'cli/crosswalk.sh verify --repair': YES,
    'cli/crosswalk.sh verify --resume': { before: stopVerification },
    'cli/crosswalk.sh verify --watch': { until: (output) => /pass/.test(output) },
  },
};

/** Blocks that are typed as a whole, by page and first words. */
const scripts: readonly [page: string, begin: string, why: string][] = [
  ['README.md', 'export LEGACY_DATABASE_URL=', 'its first lines are for the ones below, and two processes stay behind'],
];

let folder: StackFolder;
let real: OwnPostgres;
let letters: { id: string; other: string };
/** What stands in the pages for what only the reader knows, and what it is here. */
const placeholders: [printed: string, here: string][] = [];
const fill = (text: string) => placeholders.reduce((filled, [printed, here]) => filled.replaceAll(printed, here), text);

async function ask(url: string, sql: string, values: unknown[] = []): Promise<Record<string, string>[]> {
  const client = await connect(url, 'docs');
  try {
    return (await client.query<Record<string, string>>(sql, values)).rows;
  } finally {
    await client.end();
  }
}
const owner = () => folder.addresses().TARGET_OWNER_URL!;
const legacyOwner = () => folder.addresses().LEGACY_OWNER_URL!;

/** A gate asks for an hour of samples. */
async function pretendAnHour(): Promise<void> {
  const client = await connect(owner(), 'docs');
  await writePastSamples(client).finally(() => client.end());
}

/** One that is stopped half way. */
async function stopVerification(): Promise<void> {
  const read = `SELECT 1 FROM crosswalk.verification_run WHERE finished_at IS NULL AND kind = 'once'`;
  const until = async () => (await ask(owner(), read)).length > 0;
  const { code, output } = await folder.type('cli/crosswalk.sh verify --max-rate 5', { until });
  expect(`${code} ${output}`).toMatch(/^1 [\s\S]*--resume/);
}

/** Two dead letters of a kind: a rule of the new schema that their rows break. */
async function makeLetters(): Promise<void> {
  await ask(owner(), `ALTER TABLE crm.contacts ADD CONSTRAINT too_long CHECK (length(name) < 300) NOT VALID`);
  await ask(legacyOwner(), `INSERT INTO contacts (name) SELECT repeat('x', 300) FROM generate_series(1, 2)`);
  const read = `SELECT projection || ':' || topic || '/' || partition || '@' || record_offset AS id FROM crosswalk.dead_letter ORDER BY 1`;
  await waitUntil('two dead letters', async () => (await ask(owner(), read)).length === 2);
  const [one, two] = await ask(owner(), read);
  letters = { id: one!.id!, other: two!.id! };
  placeholders.push(['contacts:legacy.public.contacts/3@1042', letters.id]);
  placeholders.push(['contacts:legacy.public.contacts/5@977', letters.other]);
}
async function allowLetters(): Promise<void> {
  await ask(owner(), 'ALTER TABLE crm.contacts DROP CONSTRAINT too_long');
}
async function removeLetters(): Promise<void> {
  await ask(legacyOwner(), `DELETE FROM contacts WHERE name = repeat('x', 300)`);
}

beforeAll(async () => {
  folder = createStackFolder();
  await Promise.all([
    folder.up(`SAMPLE=1 make up ROWS=${ROWS}`, UP_LIMIT_MS),
    startOwnPostgres().then((server) => {
      real = server;
    }),
  ]);
  const loaded = await folder.type('cli/crosswalk.sh wait');
  expect(`${loaded.code} ${loaded.output}`).toMatch(/^0 /);
  const workspace = /one of the sample data is `([^`]+)`/.exec(read('README.md'))![1]!;
  const [customer] = await ask(
    owner(),
    `SELECT id::text FROM crm.customers WHERE deleted_at IS NULL ORDER BY id LIMIT 1`,
  );
  const quotes = await ask(legacyOwner(), `SELECT id::text FROM quotes WHERE phone IS NOT NULL ORDER BY id LIMIT 2`);
  const [subscriber] = await ask(
    legacyOwner(),
    `SELECT campaign_id::text, contact_id::text FROM campaign_subscribers LIMIT 1`,
  );
  const now = new Date().toISOString();
  placeholders.push(
    ['ws-north', workspace],
    ['c12dfc5d-a453-55c3-ba6b-409537128416', customer!.id!],
    ['7d1c2a90-5b1e-4c55-9a6e-0f3e2b7c1d01', quotes[0]!.id!],
    ['<campaign>', subscriber!.campaign_id!],
    ['<contact>', subscriber!.contact_id!],
    ['7c4f…', quotes[0]!.id!],
    ['91aa…', quotes[1]!.id!],
    ['2026-07-01T10:30:00Z', `${now.slice(0, 10)}T00:00:00Z`],
  );
});
afterAll(async () => {
  folder?.remove();
  await real?.close();
});

const blocks = PAGES.flatMap((page) => parseBlocks(page, read(page)));
const isListed = (list: typeof leftOut, page: string, text: string) =>
  list.some(([of, begin]) => of === page && text.startsWith(begin));
const firstLine = ({ text }: DocBlock) => text.split('\n').find((line) => line.trim() !== '') ?? '';

describe('the pages', () => {
  it('have no block of which nobody knows whether it is typed', () => {
    const known = ['sh', 'console', 'sql', 'ts', 'text'];
    const unknown = blocks.filter((block) => !known.includes(block.language) && !isShell(block));
    expect(unknown.map(({ page, line }) => `${page}:${line}`)).toEqual([]);
  });

  it('have everything that is said of them here', () => {
    const commands = blocks.filter(isShell).flatMap(toCommands);
    const texts = [...commands, ...blocks.map((block) => ({ page: block.page, text: firstLine(block) }))];
    const missing = [...leftOut, ...sqlLeftOut, ...scripts].filter(
      ([page, begin]) => !texts.some((of) => of.page === page && of.text.startsWith(begin)),
    );
    const unplanned = Object.entries(plans).flatMap(([page, of]) =>
      Object.keys(of).filter((text) => !commands.some((command) => command.page === page && command.text === text)),
    );
    expect([missing, unplanned]).toEqual([[], []]);
  });
});

/** Whether anything of a page is run here. */
function isTyped(page: string): boolean {
  return blocks.some(
    (block) =>
      block.page === page &&
      (block.language === 'sql'
        ? !isListed(sqlLeftOut, page, firstLine(block))
        : isShell(block) && toCommands(block).some(({ text }) => !isListed(leftOut, page, text))),
  );
}

describe.each(PAGES.filter(isTyped))('%s', (page) => {
  for (const block of blocks.filter((of) => of.page === page)) {
    if (block.language === 'sql' && !isListed(sqlLeftOut, page, firstLine(block)))
      it(`${block.line}: ${firstLine(block)}`, () => runSql(block));
    else if (isShell(block)) {
      if (isListed(scripts, page, firstLine(block))) it(`${block.line}: as a whole`, () => runReal(block));
      else
        for (const { line, text } of toCommands(block))
          if (!isListed(leftOut, page, text)) it(`${line}: ${text}`, () => runCommand(block, text));
    }
  }
});

async function runCommand(block: DocBlock, text: string): Promise<void> {
  const plan = plans[block.page]?.[text] ?? {};
  await plan.before?.();
  // A gate that is shown as no-go is one.
  const code = plan.code ?? (/^Gate \d+ .*: no-go/m.test(block.text) ? 1 : 0);
  const { code: ended, output } = await folder.type(fill(text), plan);
  expect(`${ended}\n${output}`).toMatch(new RegExp(`^${code}\n`));
  expect(output).not.toMatch(/permission denied|not expected/);
  if (plan.says) expect(output).toMatch(plan.says);
  await plan.after?.();
  if (block.language === 'console') expect(linesOfGate(output)).toEqual(linesOfGate(block.text));
}
const linesOfGate = (text: string) =>
  [...text.matchAll(/^(?:go|no-go|shown) {2,}(\S.*?) {2,}/gm)].map((match) => match[1]);

/** The statements of a block of SQL. None of these pages has a `;` at the end of a line inside of one. */
function toStatements(text: string): string[] {
  const withoutComments = text.replace(/--.*$/gm, '');
  return withoutComments.split(/;\s*$/m).flatMap((statement) => (statement.trim() === '' ? [] : [statement.trim()]));
}

async function runAll(url: string, text: string): Promise<void> {
  for (const statement of toStatements(text)) await ask(url, statement);
}

const PASSWORD = 'of-the-pages';
const realUrl = (user: string, database: string) => {
  const url = new URL(real.url);
  if (user !== '') [url.username, url.password] = [user, PASSWORD];
  url.pathname = `/${database}`;
  return url.href;
};

/** As an application's session, which works for the workspace of the pages. */
async function runAsApplication({ text }: DocBlock): Promise<void> {
  const client = await connect(owner(), 'docs');
  try {
    for (const statement of ['SET ROLE crosswalk_app', "SET crosswalk.tenant_id = 'ws-north'", ...toStatements(text)])
      await client.query(fill(statement));
  } finally {
    await client.end();
  }
}

/** Where a block of SQL is run, by page and first words. */
const sqlPlans: [page: string, begin: string, run: (block: DocBlock) => Promise<void>][] = [
  [
    'README.md',
    'ALTER SYSTEM SET wal_level',
    async ({ text }) => {
      await ask(realUrl('', 'postgres'), 'CREATE DATABASE app');
      const legacy = new pg.Client({ connectionString: realUrl('', 'app') });
      await legacy.connect();
      await createLegacySchema(legacy).finally(() => legacy.end());
      await loadSample(realUrl('', 'app'), { seed: 2, contacts: 30, quotes: 30 });
      await runAll(realUrl('', 'app'), text.replaceAll("'…'", `'${PASSWORD}'`));
      await real.restart();
    },
  ],
  [
    'README.md',
    'CREATE ROLE crm_owner',
    ({ text }) => runAll(realUrl('', 'postgres'), text.replaceAll("'…'", `'${PASSWORD}'`)),
  ],
  ['docs/application.md', 'SET crosswalk.tenant_id', runAsApplication],
  ['docs/application.md', 'SELECT crm.is_on_dnc_list', runAsApplication],
  ['docs/application.md', 'SELECT table_name', runAsApplication],
  [
    'docs/application.md',
    'SELECT * FROM crm.contact_pages',
    (block) =>
      runAsApplication({ ...block, text: block.text.replace('$1', '(SELECT contact_id FROM crm.leads LIMIT 1)') }),
  ],
  ['docs/application.md', 'SELECT pg_logical_emit_message', ({ text }) => runAll(legacyOwner(), text)],
  ['docs/application.md', 'SELECT migration_stage', runAsApplication],
  ['docs/application.md', 'SELECT * FROM crm.keep_retention', ({ text }) => runAll(owner(), text)],
  ['docs/cutover.md', 'CREATE ROLE ann', ({ text }) => runAll(owner(), text)],
  [
    'docs/cutover.md',
    'INSERT INTO crosswalk.stage_log',
    ({ text }) => runAll(folder.addresses().TARGET_OPERATOR_URL!, fill(text)),
  ],
  [
    'docs/cutover.md',
    'SELECT crosswalk.adopt',
    async ({ text }) => {
      await ask(owner(), 'CREATE TABLE crm.lead_notes (id uuid PRIMARY KEY, tenant_id text NOT NULL)');
      await runAll(owner(), text);
      await ask(owner(), 'DROP TABLE crm.lead_notes');
    },
  ],
  [
    'docs/operations.md',
    'DO $$ BEGIN EXECUTE',
    async ({ text }) => {
      const crm = realUrl('crm_owner', 'crm');
      const count = async (table: string) => (await ask(crm, `SELECT count(*) AS n FROM ${table}`))[0]!.n;
      await ask(
        crm,
        `INSERT INTO crosswalk.stage_log (tenant_id, stage, set_by, reason) VALUES ('x', 0, 'ann', 'kept')`,
      );
      expect(await count('crm.contacts')).not.toBe('0');
      await runAll(crm, text);
      expect([await count('crm.contacts'), await count('crosswalk.consumer_offset')]).toEqual(['0', '0']);
      expect(await count('crosswalk.stage_log')).toBe('1');
    },
  ],
  [
    'docs/operations.md',
    '-- legacy database',
    async ({ text }) => {
      const [there, here] = text.split('-- new database') as [string, string];
      const [update, readLsn] = toStatements(there) as [string, string];
      const id = placeholders.find(([printed]) => printed === '7c4f…')![1];
      await ask(legacyOwner(), update.replace('…', id));
      const [lsn] = Object.values((await ask(legacyOwner(), readLsn))[0]!);
      const [wait, waitShort, select] = toStatements(here.replaceAll('16/B374D848', lsn!).replace('…', id));
      const reader = folder.addresses().TARGET_DATABASE_URL!;
      expect(await ask(reader, wait!)).toEqual([{ wait_for_lsn: 't' }]);
      expect(await ask(reader, waitShort!)).toEqual([{ wait_for_lsn: 't' }]);
      expect(await ask(reader, select!)).toEqual([{ status: 'accepted' }]);
    },
  ],
];

async function runSql(block: DocBlock): Promise<void> {
  const plan = sqlPlans.find(([page, begin]) => page === block.page && firstLine(block).startsWith(begin));
  if (plan === undefined) throw new Error('nobody has said where this SQL is run: sqlPlans, or sqlLeftOut');
  await plan[2](block);
}

/** The second pipeline, on the Kafka of the first one: under a prefix of its own, which two pipelines on one Kafka need. */
async function runReal(block: DocBlock): Promise<void> {
  const host = new URL(real.url).host;
  const { KAFKA_BROKERS, SCHEMA_REGISTRY_URL } = folder.addresses();
  const filled: [string, string][] = [
    [':…@legacy.internal:5432/app?sslmode=verify-full', `:${PASSWORD}@${host}/app`],
    [':…@crm.internal:5432/crm?sslmode=verify-full', `:${PASSWORD}@${host}/crm`],
    ['LEGACY_OWNER_URL=…', `LEGACY_OWNER_URL=${realUrl('', 'app')}`],
    ['kafka-1:9093,kafka-2:9093', KAFKA_BROKERS!],
    ['KAFKA_TLS=true', 'KAFKA_TLS=false'],
    ['https://registry.internal/apis/ccompat/v7', SCHEMA_REGISTRY_URL!],
  ];
  for (const [printed] of filled) expect(block.text).toContain(printed);
  const text = filled.reduce((script, [printed, here]) => script.replaceAll(printed, here), block.text);
  const { code, output } = await folder.type(`set -e\n${text}\nkill $(jobs -p); wait`, {
    env: { CROSSWALK_TOPIC_PREFIX: 'real', LOG_LEVEL: 'warn' },
  });
  expect(`${code}\n${output}`).toMatch(/^0\n/);
  expect(output).toMatch(/^verified: every row is equal/m);
  // The plan prints SQL, in which such words may stand.
  expect(output).not.toMatch(/^(crosswalk|error).*(permission denied|not expected)/im);
}

/** What a command says of itself, by its words; those with commands below them are left out. */
async function readHelp(): Promise<Map<string, string>> {
  const help = new Map<string, string>();
  async function readOne(words: string): Promise<void> {
    const { code, output } = await folder.type(`cli/crosswalk.sh ${words} --help`);
    expect(`${words}: ${code}`).toBe(`${words}: 0`);
    const [, below] = /^Commands:\n([\s\S]*)/m.exec(output) ?? [];
    const names = [...(below ?? '').matchAll(/^ {2}([a-z]+)\b/gm)]
      .map((match) => match[1]!)
      .filter((name) => name !== 'help');
    if (names.length === 0 || /^Arguments:$/m.test(output)) help.set(words, output);
    await Promise.all(names.map((name) => readOne(`${words} ${name}`.trim())));
  }
  await readOne('');
  return help;
}

describe('commands that the pages name', () => {
  let help: Map<string, string>;
  /** The longest words at the beginning that are a command; null where there is none. */
  const commandOf = (text: string) => {
    const words = text.split(' ');
    for (let length = Math.min(2, words.length); length > 0; length--)
      if (help.has(words.slice(0, length).join(' '))) return words.slice(0, length).join(' ');
    return null;
  };
  beforeAll(async () => {
    help = await readHelp();
  });

  it('are all in the table of README.md, but those that make runs', () => {
    const named = new Set(parseCommandTable(read('README.md')).map(commandOf));
    expect([...help.keys()].filter((name) => !named.has(name)).sort()).toEqual(['demo', 'up']);
  });

  it('know --json where they print something', () => {
    const silent = ['connect', 'project', 'up', 'demo', 'migrate up', 'migrate down', 'resnapshot'];
    const without = [...help].filter(([, text]) => !text.includes('--json')).map(([name]) => name);
    expect(without.sort()).toEqual(silent.sort());
  });

  it('exist, with the options that the text gives them', () => {
    const groups = new Set([...help.keys()].map((name) => name.split(' ')[0]));
    const wrong = PAGES.flatMap((page) => parseInlineCommands(page, read(page))).flatMap(({ page, line, text }) => {
      const command = commandOf(text);
      const options = [...text.matchAll(/(?<= )--[a-z-]+/g)].map((match) => match[0]);
      const unknown = options.filter(
        (option) =>
          !help.get(command ?? '')?.includes(`${option} `) && !help.get(command ?? '')?.includes(`${option}\n`),
      );
      if (text.startsWith('<')) return [];
      if (command === null && (options.length > 0 || !groups.has(text))) return [`${page}:${line}: ${text}`];
      return unknown.map((option) => `${page}:${line}: ${text}: ${option}`);
    });
    expect(wrong).toEqual([]);
  });
});

it('Ctrl-C ends make up, and everything that it started', async () => {
  expect(await folder.down()).toContain('stopping');
  expect(folder.processes()).toEqual([]);
});
