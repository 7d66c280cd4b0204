#!/bin/sh
# Runs the command line: in a working copy with the Node.js that the project brings along, in the package with that of whoever calls it.
# npm calls it by a link. `readlink -f` is missing on macOS before 12.3.
self=$0
while [ -L "$self" ]; do
  link=$(readlink "$self")
  case $link in
    /*) self=$link ;;
    *) self=$(dirname -- "$self")/$link ;;
  esac
done
here=$(CDPATH='' cd -- "$(dirname -- "$self")" && pwd -P)
if [ -f "$here/main.ts" ]; then
  node=$here/../node_modules/.bin/node
  main=$here/main.ts
else
  node=node
  main=$here/main.js
fi
# Environment and flags as runtime/node-flags.ts has them. main.ts also keeps what is compiled, but cannot for itself.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$here/../node_modules/.cache/crosswalk}"
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}"
export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-131072}"
export MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-131072}"
exec "$node" --max-semi-space-size=4 --heap-growing-percent=60 --v8-pool-size=2 --no-parallel-scavenge "$main" "$@"
