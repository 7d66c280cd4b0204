import { STALLED, stops, waits } from './policy.ts';

/** Codes of processes, of what is waited for, and of what nobody has foreseen. */
export const processCodes = {
  process_ended: stops('A process that a command has started ended.', 'See its log.', {
    log: ({ file }: { file: string }) => `Its log is ${file}.`,
  }),
  stale_consumer: waits(
    'Another projector has taken over a partition.',
    'Nothing is to be done: another projector has taken the partition over.',
  ),
  stalled: stops(
    'A process has work and gets nothing done.',
    'Start it again; if it comes back, see its log.',
    { ends: 'It ends, so that a restart heals it.' },
    { exitCode: STALLED },
  ),
  not_reached: stops('What was waited for did not come in time.', 'See `crosswalk status`, then wait again.', {
    projectors: 'Are the projectors running? See `crosswalk lag` and `crosswalk status`.',
    connector: 'Is the connector running? See `crosswalk status`.',
    load: 'See `crosswalk status`; run this again: it goes on waiting.',
    snapshot:
      'Is the connector running? Does a long transaction hold it up? See `crosswalk snapshot list` and `crosswalk status`.',
    snapshot_forgotten: 'Ask for it again where that matters.',
    shadow: 'The machine may be busy: go on with --resume.',
    offsets:
      'Something holds them for long (`SELECT * FROM pg_stat_activity`: a redrive, a frozen projector): go on with --resume when it has ended.',
    repair: 'See `crosswalk snapshot list`, then run `crosswalk verify --repair` again.',
    logs: ({ folder }: { folder: string }) => `See the logs in ${folder}.`,
    postgres_log: 'See the log of PostgreSQL.',
  }),
  stuck: stops(
    'The same failure came back again and again without any progress.',
    'See the log above this line for the first failure. The ways on: docs/operations.md, "Stuck".',
  ),
  unexpected: stops(
    'A failure that nobody has foreseen.',
    'This is not expected: see the log around this line, with LOG_LEVEL=debug.',
    {
      log: ({ file }: { file: string }) => `Its log is ${file}.`,
      not_installed: 'Is it installed?',
      pipeline_wrong: 'The pipeline is wrong: its speed means nothing.',
      copy_wrong: 'The copy is wrong: its speed means nothing.',
      peer_unknown:
        'Find out where Maven took it from; where a newer version is meant, change versions and sums in bench/peer/peer-jars.ts.',
      no_maven: 'Install Maven and check its access to Maven Central, or run without PEER.',
    },
    { tries: 6 },
  ),
};
