#!/bin/sh
# Runs the command line with the Node.js that the project brings along.
here=$(dirname "$(readlink -f "$0")")
# What is compiled is kept for the next start. main.ts says so too, but cannot for itself.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$here/../node_modules/.cache/crosswalk}"
exec "$here/../node_modules/.bin/node" --disable-warning=TimeoutNegativeWarning "$here/main.ts" "$@"
