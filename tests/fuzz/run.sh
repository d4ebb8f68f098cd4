#!/usr/bin/env bash
# Runs the fuzzers, or tests their harness:
#   run.sh SECONDS [TARGET...]   each target (or those named) for so many seconds, from the inputs kept in corpus/
#   run.sh test                  every kept input once, without a fuzzer
# What is found lies in target/fuzz/found/TARGET/; what reached new code, in target/fuzz/corpus/TARGET/, where the next run
# goes on. FUZZ_MEGABYTES bounds the memory of a fuzzer; SANITIZER=address watches the memory of libraries, too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Of the many versions that cargo-fuzz runs with, this one is known to.
CARGO_FUZZ=0.13.2
ROOT=$PWD/../..
MEGABYTES=${FUZZ_MEGABYTES:-1024}
SANITIZER=${SANITIZER:-none}

# The versions that Tallycast is built with. What only fuzzing needs is added to them.
cp "$ROOT/Cargo.lock" Cargo.lock

# In memory where there is room for it: nothing of it is to survive a loss of power.
memory=/dev/shm
folder=$(mktemp -d -p "$memory" 2>/dev/null || mktemp -d)
trap 'rm -rf "$folder"' EXIT

if [ "${1:-}" = test ]; then
    # In the folder of Tallycast's own tests: most of what is needed is there already.
    TMPDIR=$folder cargo test --target-dir "$ROOT/target"
    exit
fi

seconds=${1:?how many seconds for each target}
shift
mapfile -t targets < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else sed -nE 's/^path = "targets\/(.*)\.rs"$/\1/p' Cargo.toml; fi)

export PATH="$ROOT/target/tools/bin:$PATH"
cargo fuzz --version 2>/dev/null | grep -qF "$CARGO_FUZZ" ||
    cargo install cargo-fuzz --version "$CARGO_FUZZ" --locked --root "$ROOT/target/tools"

# The stable compiler can instrument code; it only must be told that it may.
export RUSTC_BOOTSTRAP=1
build=(--fuzz-dir . --target-dir "$ROOT/target/fuzz" --sanitizer "$SANITIZER" --no-cfg-fuzzing --codegen-units 16
    --features libfuzzer)
if [ ${#targets[@]} -eq 1 ]; then cargo fuzz build "${build[@]}" "${targets[0]}"; else cargo fuzz build "${build[@]}"; fi

host=$(rustc -vV | sed -n 's/^host: //p')
failed=()
for target in "${targets[@]}"; do
    seen=$ROOT/target/fuzz/corpus/$target found=$ROOT/target/fuzz/found/$target log=$folder/$target.log
    mkdir -p "$seen" "$found" "corpus/$target" "$folder/$target"
    printf '%-10s ' "$target"
    # A world that a target leaves behind goes with its folder.
    status=0
    RUST_BACKTRACE=0 TMPDIR=$folder/$target "$ROOT/target/fuzz/$host/release/$target" -max_total_time="$seconds" \
        -rss_limit_mb="$MEGABYTES" -timeout=25 -max_len=20000 -print_final_stats=1 -artifact_prefix="$found/" \
        "$seen" "corpus/$target" >"$log" 2>&1 || status=$?
    stat() { sed -nE "s/^stat::$1: +//p" "$log"; }
    printf '%9s executions, %6s a second, %4s MiB' "$(stat number_of_executed_units)" "$(stat average_exec_per_sec)" "$(stat peak_rss_mb)"
    if [ $status -eq 0 ]; then
        printf '\n'
    else
        printf '\nFOUND SOMETHING:\n'
        grep -vE '^#[0-9]|NEW_FUNC|^INFO|^WARNING|^stat::|^note: run with' "$log" | tail -40 | cut -c1-1000
        failed+=("$target")
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "Something was found by: ${failed[*]}. Its input is named above; 'cargo fuzz tmin' makes it small, and it belongs into tests/fuzz/corpus once it is mended." >&2
    exit 1
fi
