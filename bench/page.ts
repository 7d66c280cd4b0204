// Writes the tables and the plots of docs/performance.md from the results of a run: by default the latest one.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../infra/stack/jars.ts';
import { fillPage } from './page-text.ts';
import { toPlots } from './plots.ts';
import type { Results } from './results.ts';

const PAGE = join(repositoryRoot, 'docs/performance.md');
const PLOTS = join(repositoryRoot, 'docs/plots');
const LATEST = join(repositoryRoot, '.crosswalk/bench/results/latest.json');

const file = process.argv[2] ?? LATEST;
if (!existsSync(file)) {
  process.stderr.write(`page: there is no ${file}. Run \`make bench\` first, or name a file of results.\n`);
  process.exitCode = 2;
} else {
  const results = JSON.parse(readFileSync(file, 'utf8')) as Results;
  const plots = toPlots(results);
  mkdirSync(PLOTS, { recursive: true });
  // Plots of another run beside these would be taken for this one's.
  for (const name of readdirSync(PLOTS).filter((known) => known.endsWith('.svg'))) rmSync(join(PLOTS, name));
  for (const [name, svg] of plots) writeFileSync(join(PLOTS, name), svg);
  writeFileSync(PAGE, fillPage(readFileSync(PAGE, 'utf8'), results, [...plots.keys()]));
  process.stdout.write(`${PAGE}: the run of ${results.at}, with ${plots.size} plots in ${PLOTS}\n`);
}
