/** Prefix of the logical messages whose senders wait until the stored position is past them. The connector stores such a position at once, even if no captured table changes. */
export const MARK_PREFIX = 'crosswalk.mark';
