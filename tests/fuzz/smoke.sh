#!/bin/sh
# Runs each fuzz target for SECONDS_EACH seconds, 30 unless told otherwise. Needs cargo-fuzz; it asks the compiler for
# an option that only nightly ones have, so a stable one is told to be one for this.
set -eu
cd "$(dirname "$0")/../.."
export RUSTC_BOOTSTRAP=1
for target in $(cargo fuzz list --fuzz-dir tests/fuzz); do
    echo "== $target"
    cargo fuzz run --fuzz-dir tests/fuzz "$target" -- \
        -max_total_time="${SECONDS_EACH:-30}" -max_len=4096 -dict=tests/fuzz/xml.dict -verbosity=0
done
