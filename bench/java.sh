#!/bin/sh
# Builds bench/ and runs one of its classes in it: bench/java.sh CLASS ARGUMENT...
set -eu
cd "$(dirname "$0")"
mvn -q -B -ntp package -DskipTests
exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" --add-modules jdk.incubator.vector -cp target/nativenorm-bench-*.jar "$@"
