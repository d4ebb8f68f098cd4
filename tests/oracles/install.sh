#!/bin/sh
# Installs the UserSig generators, clients and checkers that are pinned beside this file, where the tests look for them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-$here/../../target/oracles}
rm -rf "$target"
mkdir -p "$target/node" "$target/python"

cp "$here/package.json" "$here/package-lock.json" "$target/node/"
(cd "$target/node" && npm ci --no-audit --no-fund --ignore-scripts)
PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --no-deps --require-hashes --target "$target/python" -r "$here/requirements.txt"
