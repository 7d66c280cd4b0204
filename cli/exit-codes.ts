/** The command found a problem, or was stopped before it was done. */
export const NOT_DONE = 1;
