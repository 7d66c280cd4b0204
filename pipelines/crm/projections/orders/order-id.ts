import { uuid5 } from '../../../../projectors/values/uuid5.ts';

/** Id of the order of a legacy row. */
export function toOrderId(legacyId: string): string {
  return uuid5(`order:${legacyId}`);
}
