#!/bin/sh
# Builds NativeNorm and times the normalization of a ResNet block's training step on heap arrays against PyTorch's operators:
# bench/block.sh [THREADS]
set -eu
cd "$(dirname "$0")/.."
bench/install.sh
bench/java.sh io.nativenorm.bench.Blocks "$@"
