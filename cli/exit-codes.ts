/** A command that found something wrong, or was stopped before it was done. */
export const NOT_DONE = 1;
