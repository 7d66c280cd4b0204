import type pg from 'pg';
import {
  confirm as addConfirmation,
  evaluateGate,
  type Gate,
  type StoredGate,
  storeGate,
} from '../../monitor/stages/gate.ts';
import { confirmationKinds } from '../../monitor/stages/gate-facts.ts';
import type { GateLimits } from '../../monitor/stages/gate-lines.ts';
import { readTenants } from '../../projectors/read-tenants.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import { addressOf, connect } from '../../runtime/postgres.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { toTableLines } from '../quantity-text.ts';

/** Limits of a gate from the arguments. */
export interface LimitOptions {
  readonly maxLagSeconds: number;
  readonly verifiedWithin: number;
}

/** Runs `work` with one connection to the target database, with the operators' address and no other. Throws a CrosswalkError that names the database. */
export async function withTarget<T>(
  { config }: Pick<CommandContext, 'config'>,
  name: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const url = config.targetOperatorUrl();
  try {
    const client = await connect(url, name);
    try {
      return await work(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  } catch (error) {
    throw toCrosswalkError(error, `target database ${addressOf(url)}`);
  }
}

/** The same context with the operators' address for all reads of the target database, for users who have no other address. */
export function asOperator(context: CommandContext): CommandContext {
  return { ...context, config: { ...context.config, targetUrl: context.config.targetOperatorUrl } };
}

/** Null: all tenants. Throws `config_invalid` if it is blank. */
export function toTenant(text: string): string | null {
  if (text.trim() === '')
    throw new CrosswalkError('config_invalid.argument_missing', 'No tenant is named', {
      argument: 'the id of a tenant, or `all`',
    });
  return text === 'all' ? null : text;
}

/** Name of the operator, as stored. Throws `config_invalid` if it is blank. */
export function toName(option: string, text: string): string {
  if (text.trim() === '') throw new CrosswalkError('config_invalid.gate_entry', `${option} is empty`);
  return text.trim();
}

const LONGEST_LAG_SECONDS = 3600;
const LONGEST_VERIFIED_SECONDS = 7 * 86_400;

/** Throws `config_invalid` for limits so wide that the gate would not describe the current state; use --force for that. */
export function toLimits({ maxLagSeconds, verifiedWithin }: LimitOptions): GateLimits {
  const refuse = (what: string) => new CrosswalkError('config_invalid.gate_limits', what);
  if (maxLagSeconds > LONGEST_LAG_SECONDS) throw refuse(`--max-lag-seconds is above ${LONGEST_LAG_SECONDS}, an hour`);
  if (verifiedWithin > LONGEST_VERIFIED_SECONDS) throw refuse('--verified-within is above 7d');
  return { maxLagSeconds, verifiedWithinSeconds: verifiedWithin };
}

/** Evaluates a gate with everything that this process can read about the pipeline. */
export async function evaluate(
  { pipeline, config, log, signal }: Pick<CommandContext, 'pipeline' | 'config' | 'log' | 'signal'>,
  target: pg.Client,
  tenant: string | null,
  options: LimitOptions,
): Promise<Gate> {
  const limits = toLimits(options);
  return evaluateGate(config, target, tenant, {
    projections: pipeline.projections,
    tenants: readTenants(pipeline),
    limits,
    log,
    signal,
  });
}

/** Decides go or no-go from the current state and stores it with its evidence. Returns whether it is go. */
export async function gate(
  context: CommandContext,
  name: string,
  options: LimitOptions & { json?: boolean },
): Promise<boolean> {
  const tenant = toTenant(name);
  const stored = await withTarget(context, 'gate', async (target) =>
    storeGate(target, await evaluate(asOperator(context), target, tenant, options), null),
  );
  if (options.json) printJson(stored);
  else for (const line of toGateText(stored)) print(line);
  return stored.verdict === 'go';
}

/** The checklist: one line per item, and the next step below a missing item. */
export function toGateText(gate: Gate | StoredGate): string[] {
  const missing = gate.lines.filter(({ state }) => state === 'no-go').length;
  const number = 'id' in gate ? ` ${gate.id}` : '';
  return [
    ...toTableLines(gate.lines.map(({ state, name, what }) => [state, name, what])).flatMap((line, at) => {
      const { next } = gate.lines[at]!;
      return next === null ? [line] : [line, `${' '.repeat(7)}Next: ${next}`];
    }),
    '',
    `Gate${number} for ${gate.tenant ?? 'all tenants'}: ${gate.verdict}${missing === 0 ? '' : `, ${missing} of ${gate.lines.length} lines`}`,
  ];
}

/** Stores that an operator vouches for something that a gate cannot check itself. */
export async function confirm(
  context: CommandContext,
  name: string,
  kind: string,
  options: { by: string; note: string; validFor: number; json?: boolean },
): Promise<boolean> {
  const known = confirmationKinds.find((name) => name === kind);
  if (known === undefined)
    throw new CrosswalkError('config_invalid.unknown_name', `There is nothing called ${kind} to confirm`, {
      known: confirmationKinds.join(', '),
    });
  const confirmation = {
    kind: known,
    tenant: toTenant(name),
    by: toName('--by', options.by),
    note: toName('--note', options.note),
    validForSeconds: options.validFor,
  };
  const { id, validUntil } = await withTarget(context, 'gate', (target) => addConfirmation(target, confirmation));
  if (options.json) printJson({ id, ...confirmation, validUntil });
  else print(`${known} confirmed for ${confirmation.tenant ?? 'all tenants'} until ${validUntil.slice(0, 19)} UTC`);
  return true;
}
