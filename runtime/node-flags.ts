/**
 * Flags of Node.js for long-running processes. A small young generation, and a heap that grows by half between two major collections instead of several times its size: at full speed a projector has
 * 230 MiB instead of 330, a connector 150 instead of 210. `cli/crosswalk.sh` and the image name the same ones.
 */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=8', '--heap-growing-percent=50'];
