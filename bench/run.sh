#!/bin/sh
# Builds NativeNorm and races the contestants on this machine: bench/run.sh [smoke|quick|peers|full], --help for the rest.
# The figures go to bench/target/results, in JMH's format, as they are measured; report.md and report.html beside them.
set -eu
# glibc gives large blocks back at once, and PyTorch's outputs then cost a page fault every 4 KB: style-transfer's inference
# took 26 ms instead of 3.4. A program that races would not leave it so: one heap that is kept.
export MALLOC_ARENA_MAX=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184
cd "$(dirname "$0")/.."
cat >&2 <<'END'
Gets the contestants, as far as they are not there: 770 MB into Maven's repository. The first run unpacks them: 1.6 GB into
JavaCPP's cache (~/.javacpp), 432 MB into DJL's (~/.djl.ai).
END
echo "Building NativeNorm ..." >&2
bench/install.sh
echo "Getting the contestants and building the benchmarks ..." >&2
bench/java.sh io.nativenorm.bench.Race "$@"
