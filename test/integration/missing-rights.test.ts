// A command that lacks a right says whose right it is, which setting named that user, and which one to set.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../runtime/postgres.ts';
import { createGateRig, type GateRig } from '../support/gate-rig.ts';

const SECRET = `secret-${randomBytes(6).toString('hex')}`;
const suffix = randomBytes(4).toString('hex');
const PROJECTOR = `rights_projector_${suffix}`;
const NOBODY = `rights_nobody_${suffix}`;

let rig: GateRig;
const urls = { projector: '', nobody: '', legacyNobody: '' };

const withLogin = (url: string, user: string) => {
  const changed = new URL(url);
  changed.username = user;
  changed.password = SECRET;
  return changed.href;
};

beforeAll(async () => {
  rig = await createGateRig('missing_rights');
  await rig.owner.query(`CREATE ROLE ${PROJECTOR} LOGIN PASSWORD '${SECRET}' IN ROLE crosswalk_projector`);
  await rig.owner.query(`CREATE ROLE ${NOBODY} LOGIN PASSWORD '${SECRET}'`);
  urls.projector = withLogin(rig.env.TARGET_DATABASE_URL!, PROJECTOR);
  urls.nobody = withLogin(rig.env.TARGET_DATABASE_URL!, NOBODY);
  urls.legacyNobody = withLogin(rig.env.LEGACY_DATABASE_URL!, NOBODY);
});
afterAll(async () => {
  const url = rig?.env.TARGET_DATABASE_URL;
  await rig?.drop();
  if (url === undefined) return;
  const admin = await connect(new URL('/postgres', url).href, 'test');
  await admin.query(`DROP ROLE IF EXISTS ${PROJECTOR}, ${NOBODY}`).finally(() => admin.end());
});

describe('a command without its right names user and setting, and never the password', () => {
  const asProjector = `as ${PROJECTOR} of TARGET_DATABASE_URL`;
  const operator = 'Set TARGET_OPERATOR_URL to a login that is a member of crosswalk_operator';
  const projector = 'Have TARGET_DATABASE_URL name a login that is a member of crosswalk_projector';
  const ofNobody = `as ${NOBODY} of TARGET_DATABASE_URL`;
  // To somebody who may not look into a schema, PostgreSQL says that nothing is there.
  const hidden = 'where that was done, this user has no right to see it: docs/operations.md, "Rights"';
  const cases: [string[], () => Record<string, string>, string[]][] = [
    [
      ['gate', 'ws-north'],
      () => ({ TARGET_DATABASE_URL: urls.projector }),
      ['permission denied for table gate', `${asProjector}, since TARGET_OPERATOR_URL is not set`, operator],
    ],
    [
      ['gate', 'confirm', 'all', 'backup', '--by', 'ann', '--note', 'x'],
      () => ({ TARGET_DATABASE_URL: urls.projector }),
      [`${asProjector}, since TARGET_OPERATOR_URL is not set`, operator],
    ],
    [
      ['stage', 'set', 'all', '1', '--by', 'ann', '--force', '--reason', 'x'],
      () => ({ TARGET_DATABASE_URL: rig.env.TARGET_DATABASE_URL!, TARGET_OPERATOR_URL: urls.nobody }),
      [`as ${NOBODY} of TARGET_OPERATOR_URL`, 'Have TARGET_OPERATOR_URL name a login that is a member of'],
    ],
    [
      ['migrate', 'down', '1', '--yes'],
      () => ({ TARGET_DATABASE_URL: urls.projector }),
      [`${asProjector}, since TARGET_OWNER_URL is not set`, 'Set TARGET_OWNER_URL to the owner of the new schema'],
    ],
    [['dlq', 'list'], () => ({ TARGET_DATABASE_URL: urls.nobody }), ['does not exist', ofNobody, hidden]],
    [['rejects'], () => ({ TARGET_DATABASE_URL: urls.nobody }), ['permission denied', ofNobody, projector]],
    [['verify'], () => ({ TARGET_DATABASE_URL: urls.nobody }), ['make the login of TARGET_DATABASE_URL a member']],
    [['project'], () => ({ TARGET_DATABASE_URL: urls.nobody }), ['make the login of TARGET_DATABASE_URL a member']],
    [
      ['snapshot', 'contacts', '--dry-run'],
      () => ({ LEGACY_DATABASE_URL: urls.legacyNobody }),
      ['permission denied for table contacts', `as ${NOBODY} of LEGACY_DATABASE_URL`, 'Have LEGACY_DATABASE_URL name'],
    ],
    [['connect'], () => ({ LEGACY_DATABASE_URL: urls.legacyNobody }), [`as ${NOBODY} of LEGACY_DATABASE_URL`]],
  ];
  test.each(cases)('%j', async (args, env, texts) => {
    const { code, stdout, stderr } = await rig.run(args, env());
    const lines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
    expect(`${code} ${lines.length} ${stderr}`).toMatch(/^2 1 /);
    for (const text of texts) expect(lines[0]).toContain(text);
    expect(`${stdout}${stderr}`).not.toContain(SECRET);
  });
});

test('gates and stages need no other address of the new schema than that of the operators', async () => {
  const env = { TARGET_DATABASE_URL: '', TARGET_OPERATOR_URL: rig.operatorEnv.TARGET_DATABASE_URL! };
  const gate = await rig.run(['gate', 'ws-north'], env);
  expect(`${gate.code} ${gate.stderr}`).toBe('1 ');
  expect(gate.stdout).toMatch(/^Gate \d+ for ws-north: no-go/m);
  // What the gate reads of the target database it reads under that address, too.
  expect(gate.stdout).not.toMatch(/TARGET_DATABASE_URL is not set|permission denied for/);
  const set = await rig.run(['stage', 'set', 'ws-north', '1', '--by', 'ann', '--force', '--reason', 'x'], env);
  expect(`${set.code} ${set.stderr}`).toBe('0 ');
});
