#!/bin/sh
# Builds NativeNorm and times a step of synchronized batch normalization between processes of this machine, for the numbers
# of workers that are named: src/modules/gloo/times.sh 1 2 3 4 8
set -eu
cd "$(dirname "$0")/../../.."
bench/install.sh
cd src/modules/gloo
mvn -q -B -ntp test-compile
mvn -q -B -ntp dependency:build-classpath -Dmdep.outputFile=target/class-path
exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" -cp "target/classes:target/test-classes:$(cat target/class-path)" \
  io.nativenorm.gloo.StepTimes "$@"
