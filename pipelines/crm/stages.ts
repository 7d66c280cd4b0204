/** What the application sees at each stage. The migration that adopts a table states the stage from which it is visible: migrations/. */
export const stages = [
  'existing only: contacts and lookups',
  'leads, customers and quotes are visible',
  'activities and histories are visible',
  'several leads per contact',
  'nothing is held back',
] as const;
