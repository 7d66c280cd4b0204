import { expect, it } from 'vitest';
import { judge } from '../../../bench/targets.ts';
import { latencyOf, leg, quiet } from './sample-results.ts';

const find = (results: Parameters<typeof judge>[0], what: string) =>
  judge(results).find((judged) => judged.what === what)!;

it('says of nothing that was not measured that it is met or not', () => {
  for (const { measured, isMet } of judge(quiet)) expect([measured, isMet]).toEqual([null, null]);
});

it('meets a ratio from its value on, by the middle of the repetitions', () => {
  const limit = [leg(10_000)];
  const met = { ...quiet, legs: { backfill: [leg(1000), leg(15_000), leg(99_000)], limit } };
  expect(find(met, 'backfill, to INSERT … SELECT')).toMatchObject({ measured: 1.5, isMet: true });
  const missed = { ...quiet, legs: { backfill: [leg(14_999)], limit } };
  expect(find(missed, 'backfill, to INSERT … SELECT').isMet).toBe(false);
});

it('judges latency by itself and by the peer’s', () => {
  const latency = { crosswalk: [latencyOf(6)], peer: [latencyOf(11)] };
  expect(find({ ...quiet, latency }, 'latency p50')).toMatchObject({ measured: 6, isMet: true });
  expect(find({ ...quiet, latency }, 'latency p50, to the peer’s').isMet).toBe(false);
});

it('judges memory by the greatest of every leg and of single commits', () => {
  const legs = { catchup: [leg(10_000), leg(10_000, { peakMiB: { connect: 151, project: 250 } })] };
  const results = { ...quiet, legs, latency: { crosswalk: [latencyOf(5)] } };
  expect(find(results, 'memory of the connector')).toMatchObject({ measured: 151, isMet: false });
  expect(find(results, 'memory of the projector')).toMatchObject({ measured: 250, isMet: true });
});

it('judges the start where nothing but one commit waits for it', () => {
  const legs = { catchup: [leg(10_000, { startupSeconds: 9 })] };
  const latency = { crosswalk: [{ ...latencyOf(5), startupSeconds: 1.4 }] };
  expect(find({ ...quiet, legs, latency }, 'start to first event')).toMatchObject({ measured: 1.4, isMet: true });
  expect(find({ ...quiet, legs }, 'start to first event').isMet).toBeNull();
});

it('counts the CPU of connector and projector, and not that of the servers', () => {
  const results = { ...quiet, legs: { catchup: [leg(10_000)] } };
  expect(find(results, 'CPU for a million changes')).toMatchObject({ measured: 70, isMet: true });
});

it('judges nothing by a leg that was too short for a rate', () => {
  const short = leg(15_000, { seconds: 0.9 });
  const results = { ...quiet, legs: { backfill: [short], catchup: [short], limit: [leg(10_000)] } };
  for (const what of ['backfill, to INSERT … SELECT', 'CPU for a million changes'])
    expect(find(results, what).isMet).toBeNull();
});
