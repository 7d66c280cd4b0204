import { join } from 'node:path';

/**
 * Flags of Node.js for long-running processes: a small young generation, and a heap that grows by half between two major collections instead of several times its size.
 * docs/performance.md has the effect of each. `cli/crosswalk.sh` and the image name the same ones.
 */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=4', '--heap-growing-percent=50'];

/**
 * Environment of Node.js for long-running processes: memory that native code has freed in one thread is reused by the others (glibc only), and what is compiled is kept for
 * the next start. `cli/crosswalk.sh` names the same ones, the image the first one.
 */
export const NODE_ENVIRONMENT = {
  MALLOC_ARENA_MAX: '2',
  NODE_COMPILE_CACHE: join(import.meta.dirname, '../node_modules/.cache/crosswalk'),
} as const;
