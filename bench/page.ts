// Writes the tables and the plots of docs/performance.md from the results of a run, by default the latest one; of a run of the application's queries, the tables of docs/queries.md.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../infra/stack/jars.ts';
import { fillPage } from './page-text.ts';
import { toPlots } from './plots.ts';
import { fillQueriesPage } from './queries/queries-page.ts';
import type { Results } from './results.ts';

const PAGE = join(repositoryRoot, 'docs/performance.md');
const QUERIES_PAGE = join(repositoryRoot, 'docs/queries.md');
const PLOTS = join(repositoryRoot, 'docs/plots');
const LATEST = join(repositoryRoot, '.crosswalk/bench/results/latest.json');

const file = process.argv[2] ?? LATEST;
if (!existsSync(file)) {
  process.stderr.write(`page: there is no ${file}. Run \`make bench\` first, or name a file of results.\n`);
  process.exitCode = 2;
} else {
  const results = JSON.parse(readFileSync(file, 'utf8')) as Results;
  if (results.queries === undefined) writeFigures(results);
  else {
    writeFileSync(QUERIES_PAGE, fillQueriesPage(readFileSync(QUERIES_PAGE, 'utf8'), results));
    process.stdout.write(`${QUERIES_PAGE}: the run of ${results.at}\n`);
  }
}

function writeFigures(results: Results): void {
  const plots = toPlots(results);
  mkdirSync(PLOTS, { recursive: true });
  // Plots of another run beside these would be taken for this one's.
  for (const name of readdirSync(PLOTS).filter((known) => known.endsWith('.svg'))) rmSync(join(PLOTS, name));
  for (const [name, svg] of plots) writeFileSync(join(PLOTS, name), svg);
  writeFileSync(PAGE, fillPage(readFileSync(PAGE, 'utf8'), results, [...plots.keys()]));
  process.stdout.write(`${PAGE}: the run of ${results.at}, with ${plots.size} plots in ${PLOTS}\n`);
}
