#!/bin/sh
# Builds NativeNorm, trains the networks of docs/small-batches.md, and writes its figures and its table again.
set -eu
cd "$(dirname "$0")/../../.."
bench/install.sh
cd src/modules/examples
mvn -q -B -ntp package -DskipTests
exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" -Dnativenorm.require=fused -jar target/nativenorm-examples-*.jar
