#!/bin/sh
# Makes the picture and the table of docs/benchmarks.md from the raw figures of a race: bench/figures.sh bench/results/FIGURES.json
set -eu
[ $# = 1 ] || { echo "usage: bench/figures.sh bench/results/FIGURES.json" >&2; exit 2; }
raw=$(realpath "$1")
exec "$(dirname "$0")/java.sh" io.nativenorm.bench.report.FiguresSection "$(realpath "$(dirname "$0")/../docs/benchmarks.md")" "$raw"
