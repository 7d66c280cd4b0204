import { join } from 'node:path';

/**
 * Flags of Node.js for long-running processes: a small young generation, a heap that grows by 40 % between two major collections instead of several times its size, and two
 * threads that collect and compile beside the main one. docs/performance.md has the effect of each. `cli/crosswalk.sh` and the image name the same ones.
 */
export const NODE_FLAGS: readonly string[] = [
  '--max-semi-space-size=4',
  '--heap-growing-percent=40',
  '--v8-pool-size=2',
];

/**
 * Environment of Node.js for long-running processes: memory that native code has freed in one thread is reused by the others (glibc only), and what is compiled is kept for
 * the next start. `cli/crosswalk.sh` names the same ones, the image the first one.
 */
export const NODE_ENVIRONMENT = {
  MALLOC_ARENA_MAX: '1',
  NODE_COMPILE_CACHE: join(import.meta.dirname, '../node_modules/.cache/crosswalk'),
} as const;
