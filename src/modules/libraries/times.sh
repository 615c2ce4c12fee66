#!/bin/sh
# Builds NativeNorm and times it beside another library's own: src/modules/libraries/times.sh OnnxRuntime
# The other names are those of the *Times.java in this module.
set -eu
cd "$(dirname "$0")/../../.."
bench/install.sh
cd src/modules/libraries
mvn -q -B -ntp package -DskipTests
exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" --add-opens=java.base/java.nio=ALL-UNNAMED -cp target/nativenorm-libraries-*.jar "io.nativenorm.libraries.$1Times"
