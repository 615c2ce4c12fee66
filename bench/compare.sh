#!/bin/sh
# Prints what got slower from one race to another, and exits with 1 if anything did: bench/compare.sh OLD.json NEW.json
set -eu
[ $# = 2 ] || { echo "usage: bench/compare.sh OLD.json NEW.json" >&2; exit 2; }
exec "$(dirname "$0")/java.sh" io.nativenorm.bench.report.Compare "$(realpath "$1")" "$(realpath "$2")"
