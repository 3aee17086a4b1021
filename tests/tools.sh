#!/bin/sh
# Installs what the tests need beside Rust: Chromium, haxe, node and Prosody from Debian's packages, the rest from npm.
# Where it cannot, it says in one sentence what is missing, and fails.
set -eu
cd "$(dirname "$0")/browser"

missing=
command -v chromium >/dev/null || missing="$missing chromium"
command -v haxe >/dev/null || missing="$missing haxe"
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
command -v prosody >/dev/null || missing="$missing prosody"

if [ -n "$missing" ]; then
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root=sudo
    fail() {
        echo "test-tools: $1; install these Debian packages and try again:$missing" >&2
        exit 1
    }
    command -v apt-get >/dev/null || fail "there is no apt-get here"
    [ -z "$as_root" ] || command -v sudo >/dev/null || fail "this needs root, and there is no sudo"
    # shellcheck disable=SC2086 # each word is a package
    $as_root apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 ||
        { $as_root apt-get update >/dev/null && $as_root apt-get install -y --no-install-recommends $missing >/dev/null; } ||
        fail "apt-get could not install them"
    # Its package starts Prosody as a service; the test starts one of its own.
    case $missing in
    *prosody*) $as_root systemctl disable --now prosody >/dev/null 2>&1 ||
        $as_root service prosody stop >/dev/null 2>&1 || true ;;
    esac
fi

# npm notes what it installed; that is younger than the lock file when nothing has changed since.
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
    npm ci --no-fund --no-audit >/dev/null || {
        echo "test-tools: npm could not install playwright-core, @ruffle-rs/ruffle and axe-core, see above" >&2
        exit 1
    }
fi
