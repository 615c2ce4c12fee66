#!/bin/sh
# Builds NativeNorm and times it beside another library's own: src/modules/libraries/times.sh OnnxRuntime
# The other names are those of the *Times.java in this module.
set -eu
# As bench/run.sh: glibc gives large blocks back at once, and PyTorch's results then cost a page fault every 4 KB.
export MALLOC_ARENA_MAX=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184
cd "$(dirname "$0")/../../.."
bench/install.sh
cd src/modules/libraries
mvn -q -B -ntp package -DskipTests
exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" --add-opens=java.base/java.nio=ALL-UNNAMED -cp target/nativenorm-libraries-*.jar "io.nativenorm.libraries.$1Times"
