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
# What is compiled is kept for the next start. main.ts says so too, but cannot for itself.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$here/../node_modules/.cache/crosswalk}"
# As runtime/node-flags.ts has them.
exec "$node" --max-semi-space-size=8 --heap-growing-percent=50 "$main" "$@"
