import type { Config } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import { parseAddress } from '../runtime/postgres-address.ts';

/**
 * The database to restore a backup into: from the option, else from RESTORE_DATABASE_URL; null: create one. Throws `config_invalid`, without the address, if the option
 * contains a password: every user of the machine can read arguments in the process list.
 */
export function toRestoreAddress(
  option: string,
  text: string | undefined,
  { restoreUrl }: Pick<Config, 'restoreUrl'>,
): string | null {
  if (text === undefined) return restoreUrl;
  const address = URL.canParse(text) ? new URL(text) : null;
  if (address === null || !['postgres:', 'postgresql:'].includes(address.protocol))
    throw new CrosswalkError('config_invalid.argument', `${option} is no address`, {
      argument: option,
      as: 'postgres://user@host:port/database',
    });
  if (address.password !== '' || address.searchParams.has('password'))
    throw new CrosswalkError(
      'config_invalid.password_shown',
      `${option} has a password in it, which everybody on this machine can read in the list of processes`,
    );
  try {
    parseAddress(text);
  } catch (error) {
    if (!(error instanceof CrosswalkError)) throw error;
    throw new CrosswalkError(error.failure, `${option} ${error.message}`);
  }
  return text;
}
