#!/bin/sh
# Builds NativeNorm and times training steps over stacks of twelve layers against PyTorch's operators: bench/stack.sh [THREADS]
set -eu
cd "$(dirname "$0")/.."
mvn -q -B -ntp install -DskipTests
bench/java.sh io.nativenorm.bench.Stacks "$@"
