const projections = new WeakMap<object, string>();

/** Says of an error that one projection of its feed threw it. Returns the error. */
export function attribute<T>(error: T, projection: string | null): T {
  if (projection !== null && typeof error === 'object' && error !== null) projections.set(error, projection);
  return error;
}

/** The projection that threw an error; null where it is about all of the feed. */
export function stoppedBy(error: unknown): string | null {
  return (typeof error === 'object' && error !== null && projections.get(error)) || null;
}
