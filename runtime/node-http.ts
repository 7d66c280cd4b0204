/**
 * Node.js's `http` module. Imported by name, all its exports would be evaluated, also those of a second HTTP client that
 * nobody uses here: 17 MiB and 70 ms for every process.
 */
export const http = process.getBuiltinModule('node:http');
