#!/bin/sh
# Runs the command line with the Node.js that the project brings along.
here=$(dirname "$(readlink -f "$0")")
# What is compiled is kept for the next start. main.ts says so too, but cannot for itself.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$here/../node_modules/.cache/crosswalk}"
# As runtime/node-flags.ts has them.
exec "$here/../node_modules/.bin/node" --max-semi-space-size=8 --heap-growing-percent=50 "$here/main.ts" "$@"
