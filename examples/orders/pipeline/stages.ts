/** What the new application sees of a shop. From which stage on a table is shown is said where it is adopted: migrations/. */
export const stages = ['the shop itself', 'orders, their lines and buyers', 'what became of orders over time'] as const;
