/** Prefix of the logical messages whose senders wait until the position is past them. The connector stores it at once, even if no captured table changes. */
export const MARK_PREFIX = 'crosswalk.mark';
