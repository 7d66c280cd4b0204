import { join } from 'node:path';

/**
 * Flags of Node.js for long-running processes: a small young generation, a heap that grows by 60 % between two major collections instead of several times its size, and two
 * threads that collect and compile beside the main one. The young generation is collected by the main thread alone: it is too small to share. docs/performance.md has the
 * effect of each. `cli/crosswalk.sh` and the image name the same ones.
 */
export const NODE_FLAGS: readonly string[] = [
  '--max-semi-space-size=4',
  '--heap-growing-percent=60',
  '--v8-pool-size=2',
  '--no-parallel-scavenge',
];

/**
 * Environment of Node.js for long-running processes. Native memory (glibc only): what one thread has freed is reused by the others, and buffers of 128 KiB or more are
 * returned to the system when they are freed, instead of leaving gaps in a heap that only grows. What is compiled is kept for the next start. `cli/crosswalk.sh` names the
 * same ones, the image those of native memory.
 */
export const NODE_ENVIRONMENT = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '131072',
  MALLOC_TRIM_THRESHOLD_: '131072',
  NODE_COMPILE_CACHE: join(import.meta.dirname, '../node_modules/.cache/crosswalk'),
} as const;
