#!/bin/sh
# Installs the vendor's UserSig generators, as pinned beside this file, where the tests look for them. Does nothing twice.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-$here/../../target/oracles}
mkdir -p "$target/node" "$target/python"

if [ ! -e "$target/node/node_modules/tls-sig-api-v2/package.json" ]; then
    cp "$here/package.json" "$here/package-lock.json" "$target/node/"
    (cd "$target/node" && npm ci --no-audit --no-fund --ignore-scripts)
fi
if [ ! -e "$target/python/TLSSigAPIv2.py" ]; then
    python3 -m pip install --quiet --no-deps --require-hashes --target "$target/python" -r "$here/requirements.txt"
fi
