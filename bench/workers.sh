#!/bin/sh
# Builds NativeNorm and times steps of synchronized BatchNorm on threads of one JVM beside the same threads without an exchange:
# bench/workers.sh [WORKERS [CHANNELS]], each a list with commas
set -eu
cd "$(dirname "$0")/.."
bench/install.sh
bench/java.sh io.nativenorm.bench.Workers "$@"
