import { expect, test } from 'vitest';
import { toWayOn } from '../../../connectors/source-health.ts';
import { parseRemedy, parseReread } from '../../chaos/remedy.ts';

const ended = (remedy: string) =>
  `{"level":"warn","why":"crosswalk connect: Run \`crosswalk resnapshot decoy\`"}\ncrosswalk connect: public.contacts: cause. ${remedy}\n`;

test('the tables of a resnapshot are read out of the line that a connector ends with', () => {
  const changes = ['contacts', 'status_options'].map((table) => ({ table, what: 'x', heals: 'read' as const }));
  expect(parseRemedy(ended(toWayOn(changes).remedy))).toEqual(['contacts', 'status_options']);
  expect(
    parseRemedy(
      ended('Give the column its old type back, run `crosswalk resnapshot quotes`, then start the connector'),
    ),
  ).toEqual(['quotes']);
});

test('no other remedy is taken for one', () => {
  const anew = [{ table: 'contacts', what: 'x', heals: 'anew' as const }];
  for (const remedy of [toWayOn(anew).remedy, 'Run `crosswalk resnapshot --skip`.', 'Start the server.'])
    expect(parseRemedy(ended(remedy))).toBeNull();
  expect(parseRemedy('{"msg":"Run `crosswalk resnapshot contacts`"}\n')).toBeNull();
  expect(parseRemedy('crosswalk project: x. Run `crosswalk resnapshot contacts`\n')).toBeNull();
  expect(parseRemedy('')).toBeNull();
});

test('what a resnapshot reads again', () => {
  const said =
    'contacts: a label changed\nthe connector will reread: contacts, quotes; start it with `crosswalk connect`\n';
  expect(parseReread(said)).toEqual(['contacts', 'quotes']);
  expect(parseReread('nothing changed without an event; name the tables to reread\n')).toEqual([]);
});
