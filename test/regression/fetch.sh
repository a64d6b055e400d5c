#!/bin/sh
# PostgreSQL's regression SQL from Debian's source package, into /var/tmp/gw-regress (or $1). Changes nothing of the machine's
# own apt: lists, sources and cache are the folder's.
set -eu
into=${1:-/var/tmp/gw-regress}
package=${2:-postgresql-18}
mkdir -p "$into/apt/lists/partial"
key=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb-src [signed-by=$key] http://deb.debian.org/debian sid main" >"$into/apt/sources.list"
set -- -q -o "Dir::Etc::sourcelist=$into/apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$into/apt/lists" -o "APT::Sandbox::User=root"
apt-get "$@" update
cd "$into"
apt-get "$@" source --download-only "$package"
tar xf "$into/$package"_*.orig.tar.* --strip-components=1 --wildcards '*/src/test/regress'
chmod -R a+rX "$into"
echo "$into/src/test/regress"
