#!/bin/sh
# Makes the README's picture and table from the raw figures of a race: bench/readme.sh bench/results/FIGURES.json
set -eu
[ $# = 1 ] || { echo "usage: bench/readme.sh bench/results/FIGURES.json" >&2; exit 2; }
raw=$(realpath "$1")
exec "$(dirname "$0")/java.sh" io.nativenorm.bench.report.ReadmeSection "$(realpath "$(dirname "$0")/../README.md")" "$raw"
