#!/bin/sh
# Builds NativeNorm for the benchmarks, into Maven's local repository: without what nobody races, which is half of the
# time: the Javadoc, the bill of materials, the look at the format.
set -eu
cd "$(dirname "$0")/.."
mvn -q -B -ntp install -DskipTests -Dmaven.javadoc.skip -Dcyclonedx.skip -Dspotless.check.skip
