#!/bin/sh
# Builds NativeNorm and times calls as programs make them: after pauses, with dirtied caches, right after PyTorch's operators,
# beside other callers: bench/pauses.sh [THREADS]
set -eu
cd "$(dirname "$0")/.."
bench/install.sh
bench/java.sh io.nativenorm.bench.Pauses "$@"
