#!/bin/sh
# Installs the servers that `make bench` measures beside ours, from Debian's packages. `make bench` starts each by itself, with
# the configurations in this folder; as a system service none of them is to run, so those that are new here are switched off.
# A server that was installed before stays as it is.
set -eu
policy=/usr/sbin/policy-rc.d
new=""
for package in redis-server nats-server ngircd inspircd; do
    if dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed$'; then
        echo "$package: already installed, left as it is"
    else
        new="$new $package"
    fi
done
[ -n "$new" ] || exit 0
# This file tells packages whether they may start their services. A machine that has one has made up its mind.
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update
# shellcheck disable=SC2086 # One word for each package.
apt-get install -y --no-install-recommends $new
for package in $new; do
    if command -v systemctl >/dev/null; then
        systemctl disable "$package.service"
    else
        update-rc.d "$package" disable
    fi
done
