/** A command that found something wrong, or was stopped before it was done. */
export const NOT_DONE = 1;
/** A command that could not run: starting it again would not help. */
export const COULD_NOT_RUN = 2;
/** A process that gave itself up as stalled: starting it again heals it. */
export const STALLED = 3;
