const projections = new WeakMap<object, string>();

/** Attributes an error to the projection of its feed that threw it. Returns the error. */
export function attribute<T>(error: T, projection: string | null): T {
  if (projection !== null && typeof error === 'object' && error !== null) projections.set(error, projection);
  return error;
}

/** The projection that threw an error; null if it concerns the whole feed. */
export function stoppedBy(error: unknown): string | null {
  return (typeof error === 'object' && error !== null && projections.get(error)) || null;
}
