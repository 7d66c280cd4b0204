import type { Config } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import { parseAddress } from '../runtime/postgres-address.ts';

/**
 * The database that a backup is restored into: that of the option, or else that of RESTORE_DATABASE_URL; null: one is made for it. Throws `config_invalid`, without the address, for one with a
 * password: arguments are in the list of processes, which everybody on the machine may read.
 */
export function toRestoreAddress(
  option: string,
  text: string | undefined,
  { restoreUrl }: Pick<Config, 'restoreUrl'>,
): string | null {
  if (text === undefined) return restoreUrl;
  const address = URL.canParse(text) ? new URL(text) : null;
  if (address === null || !['postgres:', 'postgresql:'].includes(address.protocol))
    throw new CrosswalkError(
      'config_invalid',
      `${option} is no address`,
      'Give it as postgres://user@host:port/database.',
    );
  if (address.password !== '' || address.searchParams.has('password'))
    throw new CrosswalkError(
      'config_invalid',
      `${option} has a password in it, which everybody on this machine can read in the list of processes`,
      'Give the whole address in the environment instead: RESTORE_DATABASE_URL.',
    );
  try {
    parseAddress(text);
  } catch (error) {
    if (!(error instanceof CrosswalkError)) throw error;
    throw new CrosswalkError('config_invalid', `${option} ${error.message}`, error.remedy);
  }
  return text;
}
