#!/bin/sh
# Builds NativeNorm and races the contestants on this machine: bench/run.sh [smoke|quick|full]
# The figures go to bench/target/results, in JMH's format, as they are measured.
set -eu
cd "$(dirname "$0")/.."
mvn -q -B -ntp install -DskipTests
cd bench
mvn -q -B -ntp package dependency:build-classpath -DskipTests -Dmdep.outputFile=target/classpath
"${JAVA_HOME:+$JAVA_HOME/bin/}java" -cp "target/classes:$(cat target/classpath)" io.nativenorm.bench.Race "$@"
