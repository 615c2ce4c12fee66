#!/bin/sh
# Builds NativeNorm and times training steps over stacks of twelve layers against PyTorch's operators: bench/stack.sh [THREADS]
set -eu
cd "$(dirname "$0")/.."
bench/install.sh
bench/java.sh io.nativenorm.bench.Stacks "$@"
