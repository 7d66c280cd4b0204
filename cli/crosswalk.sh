#!/bin/sh
# Runs the command line with the Node.js that the project brings along.
here=$(dirname "$(readlink -f "$0")")
exec "$here/../node_modules/.bin/node" --disable-warning=TimeoutNegativeWarning "$here/main.ts" "$@"
