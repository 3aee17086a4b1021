#!/bin/sh
# Starts the program given as $1 with its default configuration on a free port, and stops it: it must say where it
# listens, and end with 0.
set -eu
out=$(mktemp)
trap 'rm -f "$out"' EXIT
"$1" serve --listen 127.0.0.1:0 >"$out" &
pid=$!
tries=100
until grep -q '^listening on 127\.0\.0\.1:[0-9]* (chat)$' "$out"; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ] || ! kill -0 "$pid"; then
        echo "smoke: the server did not say where it listens" >&2
        kill "$pid" 2>/dev/null || true
        exit 1
    fi
    sleep 0.1
done
kill -TERM "$pid"
wait "$pid"
echo "smoke: $(cat "$out"), and stopped in order"
