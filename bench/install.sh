#!/bin/sh
# Builds NativeNorm for the benchmarks, into Maven's local repository: without what nobody races, which is most of the
# time: the executable jars, the Javadoc, the bill of materials, the look at the format.
set -eu
cd "$(dirname "$0")/.."
mvn -q -B -ntp install -DskipTests -DskipITs -Dexecutable.skip -Dmaven.javadoc.skip -Dcyclonedx.skip -Dspotless.check.skip
