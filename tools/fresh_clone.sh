#!/usr/bin/env bash
# Proves that a clone works on a machine that has never seen it: clones this checkout's HEAD to a temporary
# folder, with an empty HOME and only a plain environment, and runs there the first two commands of README.
#
#   tools/fresh_clone.sh [TARGET…]      make targets to run instead of `test` and `demo`
set -euo pipefail

checkout=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d /tmp/ad-clone-XXXXXX)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/home"
git clone --quiet "$checkout" "$folder/agentdiff"

# What stays: where programs are, and how this machine reaches its package mirrors.
kept=$(env | grep -iE '^(PATH|LANG|[a-z_]*proxy|SSL_CERT_FILE|NODE_EXTRA_CA_CERTS|PIP_[A-Z_]*)=' || true)
mapfile -t kept <<<"$kept"
run() { env -i "${kept[@]}" HOME="$folder/home" TERM=dumb make -C "$folder/agentdiff" "$@"; }

if [ $# -gt 0 ]; then
  run "$@" </dev/null
else
  run test </dev/null
  run demo </dev/null
fi

leftover=$(git -C "$folder/agentdiff" status --porcelain)
if [ -n "$leftover" ]; then
  printf 'fresh_clone: the run left files that git does not ignore:\n%s\n' "$leftover" >&2
  exit 1
fi
echo "fresh_clone: ok"
