#!/bin/sh
# Builds NativeNorm and times the normalizations of a decoder on heap arrays against plain loops: bench/decoder.sh
set -eu
cd "$(dirname "$0")/.."
bench/install.sh
bench/java.sh io.nativenorm.bench.Decoder "$@"
