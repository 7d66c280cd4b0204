import { parseLsn, toLsnText } from '../../changes/lsn.ts';
import { mark } from '../../projectors/mark.ts';
import { waitForLsn } from '../../projectors/wait.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { connect } from '../../runtime/postgres.ts';
import { type CommandContext, print, printJson } from '../context.ts';

/** Waits until everything up to an LSN is applied. */
export async function wait(
  { pipeline, config, log, signal }: CommandContext,
  options: { lsn?: string; timeout: number; json?: boolean },
): Promise<boolean> {
  const startedAtMs = performance.now();
  const lsn = options.lsn === undefined ? await markLegacy(config.legacyUrl()) : parseGiven(options.lsn);
  const target = await connect(config.targetUrl(), 'wait');
  try {
    await waitForLsn(config, createKafka(config.kafka(), log), target, pipeline.projections, {
      lsn,
      timeoutMs: options.timeout * 1000,
      signal,
    });
  } finally {
    await target.end();
  }
  const seconds = (performance.now() - startedAtMs) / 1000;
  if (options.json) printJson({ lsn: toLsnText(lsn), applied: true, seconds });
  else print(`everything up to ${toLsnText(lsn)} is applied (waited ${seconds.toFixed(1)} s)`);
  return true;
}

/** Returns an LSN beyond everything that the legacy database has committed by now. */
export async function markLegacy(url: string): Promise<bigint> {
  const legacy = await connect(url, 'wait');
  try {
    return await mark(legacy);
  } finally {
    await legacy.end();
  }
}

function parseGiven(text: string): bigint {
  try {
    return parseLsn(text);
  } catch {
    throw new CrosswalkError('config_invalid.argument', `--lsn is not a log sequence number`, {
      argument: '--lsn',
      as: 'PostgreSQL prints it, such as 16/B374D848',
    });
  }
}
