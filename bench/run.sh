#!/bin/sh
# Builds NativeNorm and races the contestants on this machine. Arguments are JMH's, such as
#   bench/run.sh -p shape=bert-base -p contestant="NativeNorm AUTO,Scalar Java"
# Times are in microseconds a call; JMH's raw file is left in bench/target/results.
set -eu
cd "$(dirname "$0")/.."
mvn -q -B -ntp install -DskipTests
cd bench
mvn -q -B -ntp package dependency:build-classpath -DskipTests -Dmdep.outputFile=target/classpath
mkdir -p target/results
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1 | tr -cs '[:alnum:]\n' '-')
"${JAVA_HOME:+$JAVA_HOME/bin/}java" -cp "target/classes:$(cat target/classpath)" org.openjdk.jmh.Main \
  -prof gc -rf json -rff "target/results/$(date +%Y%m%dT%H%M%S)-$cpu.json" "$@"
