// Plots of a run as SVG, drawn by hand: no library, no script, colours that hold on light and dark pages.
import { toCountText } from '../cli/quantity-text.ts';
import type { GrowthPoint, LegName, Results } from './results.ts';
import type { Range } from './statistics.ts';
import { summariseLatency, summariseLeg } from './summary.ts';
import { latencyTitles, legTitles } from './table.ts';

const WIDTH = 760;
const LEFT = 190;
const RIGHT = 100;
const ROW = 26;
const BAR = 16;
const TOP = 44;
const COLOURS = { crosswalk: '#2f7ed8', peer: '#d8772f', limit: '#8a8a8a', line: '#999999', text: '#777777' };

/** A bar with its name, its value, and the least and greatest value of its repetitions. */
interface Bar {
  readonly label: string;
  readonly range: Range;
  readonly colour: string;
  readonly text: string;
}

/** The plots of a run by file name; those that it has no figures for are left out. */
export function toPlots(results: Results): Map<string, string> {
  const plots = new Map<string, string>();
  const rates = toRateBars(results);
  if (rates.length > 0)
    plots.set('rates.svg', drawBars('Rows per second (line: least to greatest of the runs)', rates));
  const latencies = toLatencyBars(results);
  if (latencies.length > 0)
    plots.set('latency.svg', drawBars('Source commit to target commit, ms, 200 single commits a second', latencies));
  const memory = toMemoryBars(results);
  if (memory.length > 0) plots.set('memory.svg', drawBars('Greatest resident size, MiB', memory));
  const points = results.growth.filter(({ shape, measured }) => shape === 'as usual' && measured !== null);
  if (points.length > 1) {
    plots.set('growth-rate.svg', drawCurves('Backfill, rows per second, by legacy rows', points, RATE_CURVES));
    plots.set(
      'growth-memory.svg',
      drawCurves('Backfill, greatest resident size in MiB, by legacy rows', points, SIZES),
    );
  }
  return plots;
}

const colourOf = (name: LegName) =>
  name.startsWith('peer') ? COLOURS.peer : name === 'limit' ? COLOURS.limit : COLOURS.crosswalk;

function toRateBars(results: Results): Bar[] {
  return legTitles.flatMap(([name, label]) => {
    const range = summariseLeg(results, name)?.rowsPerSecond;
    return range === undefined ? [] : [{ label, range, colour: colourOf(name), text: toCountText(range.median) }];
  });
}

function toLatencyBars(results: Results): Bar[] {
  return latencyTitles.flatMap(([name, title]) => {
    const summary = summariseLatency(results, name);
    if (summary === null) return [];
    const colour = name === 'crosswalk' ? COLOURS.crosswalk : COLOURS.peer;
    return (['p50', 'p95', 'p99'] as const).map((of) => ({
      ...{ label: `${title}, ${of}`, range: summary[of], colour, text: summary[of].median.toFixed(1) },
    }));
  });
}

function toMemoryBars(results: Results): Bar[] {
  return legTitles.flatMap(([name, title]) => {
    const { connect, project, peer } = summariseLeg(results, name)?.peakMiB ?? {};
    const bar = (label: string, size: number | undefined, colour: string): Bar[] =>
      size === undefined
        ? []
        : [{ label, range: { min: size, median: size, max: size }, colour, text: toCountText(size) }];
    return [
      ...bar(`${title}: connector`, connect, COLOURS.crosswalk),
      ...bar(`${title}: projector`, project, COLOURS.crosswalk),
      ...bar(title, peer, COLOURS.peer),
    ];
  });
}

function drawBars(title: string, bars: readonly Bar[]): string {
  const greatest = Math.max(...bars.map(({ range }) => range.max));
  const x = (value: number) => LEFT + (value / greatest) * (WIDTH - LEFT - RIGHT);
  const rows = bars.flatMap(({ label, range, colour, text }, at) => {
    const y = TOP + at * ROW;
    const middle = y + BAR / 2;
    const isSpread = range.max > range.min;
    return [
      drawText(LEFT - 8, middle + 4, label, 'end'),
      `<rect x="${LEFT}" y="${y}" width="${fixed(x(range.median) - LEFT)}" height="${BAR}" fill="${colour}"/>`,
      ...(isSpread ? [drawLine(x(range.min), middle, x(range.max), middle, COLOURS.line, 2)] : []),
      drawText(x(range.max) + 8, middle + 4, text),
    ];
  });
  return drawPage(title, TOP + bars.length * ROW + 8, rows);
}

interface Curve {
  readonly label: string;
  readonly colour: string;
  readonly of: (point: GrowthPoint) => number | undefined;
}
const RATE_CURVES: readonly Curve[] = [
  { label: 'rows/s', colour: COLOURS.crosswalk, of: ({ measured }) => measured?.rowsPerSecond },
];
const SIZES: readonly Curve[] = [
  { label: 'connector', colour: COLOURS.crosswalk, of: ({ measured }) => measured?.peakMiB.connect },
  { label: 'projector', colour: COLOURS.peer, of: ({ measured }) => measured?.peakMiB.project },
];

/** Curves over the decimal logarithm of the rows; the other axis begins at 0. */
function drawCurves(title: string, points: readonly GrowthPoint[], curves: readonly Curve[]): string {
  const [height, left, bottom] = [260, 80, 220];
  const values = curves.flatMap(({ of }) => points.flatMap((point) => of(point) ?? []));
  const greatest = Math.max(...values);
  const logs = points.map(({ rows }) => Math.log10(rows));
  const [least, most] = [Math.min(...logs), Math.max(...logs)];
  const x = (rows: number) => left + ((Math.log10(rows) - least) / (most - least)) * (WIDTH - left - RIGHT);
  const y = (value: number) => bottom - (value / greatest) * (bottom - TOP);
  const axes = [0, 0.5, 1].flatMap((share) => [
    drawLine(left, y(greatest * share), WIDTH - RIGHT, y(greatest * share), COLOURS.line, 0.5),
    drawText(left - 8, y(greatest * share) + 4, toCountText(greatest * share), 'end'),
  ]);
  const ticks = points.map(({ rows }) => drawText(x(rows), bottom + 20, toCountText(rows), 'middle'));
  const lines = curves.flatMap(({ label, colour, of }) => {
    const drawn = points.flatMap((point) => {
      const value = of(point);
      return value === undefined ? [] : [{ x: x(point.rows), y: y(value) }];
    });
    const last = drawn.at(-1);
    if (last === undefined) return [];
    return [
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${drawn.map((at) => `${fixed(at.x)},${fixed(at.y)}`).join(' ')}"/>`,
      ...drawn.map((at) => `<circle cx="${fixed(at.x)}" cy="${fixed(at.y)}" r="3.5" fill="${colour}"/>`),
      drawText(last.x + 10, last.y + 4, label),
    ];
  });
  return drawPage(title, height, [...axes, ...ticks, ...lines]);
}

const fixed = (value: number) => value.toFixed(1);
const escapeXml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function drawText(x: number, y: number, text: string, anchor: 'start' | 'middle' | 'end' = 'start'): string {
  return `<text x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}">${escapeXml(text)}</text>`;
}

function drawLine(x1: number, y1: number, x2: number, y2: number, colour: string, width: number): string {
  return `<line x1="${fixed(x1)}" y1="${fixed(y1)}" x2="${fixed(x2)}" y2="${fixed(y2)}" stroke="${colour}" stroke-width="${width}"/>`;
}

function drawPage(title: string, height: number, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12" fill="${COLOURS.text}">`,
    `<title>${escapeXml(title)}</title>`,
    `<text x="8" y="22" font-size="14">${escapeXml(title)}</text>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}
