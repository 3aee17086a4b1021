#!/bin/sh
# Runs the fuzz targets named, or all of them, for SECONDS_EACH seconds each, 30 unless told otherwise. Needs cargo-fuzz
# (`cargo install --locked cargo-fuzz`) and clang; it asks the compiler for an option that only nightly ones have, so a
# stable one is told to be one for this. What fails is kept in tests/fuzz/artifacts, what was found in tests/fuzz/corpus.
set -eu
cd "$(dirname "$0")/../.."
export RUSTC_BOOTSTRAP=1
targets=${*:-$(cargo fuzz list --fuzz-dir tests/fuzz)}
for target in $targets; do
    echo "== $target"
    dict=
    [ ! -f "tests/fuzz/$target.dict" ] || dict="-dict=tests/fuzz/$target.dict"
    cargo fuzz run --fuzz-dir tests/fuzz "$target" -- \
        -max_total_time="${SECONDS_EACH:-30}" -max_len=4096 -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
        -detect_leaks=0 -verbosity=0 $dict
done
