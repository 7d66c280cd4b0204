/** What the application sees at each stage. Which table is shown from which stage on is said where the table is adopted: migrations/. */
export const stages = [
  'existing only: contacts and lookups',
  'leads, customers and quotes are visible',
  'activities and histories are visible',
  'several leads per contact',
  'nothing is held back',
] as const;
