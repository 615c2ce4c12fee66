#!/bin/sh
# A user's program with one dependency, nativenorm-platform from the local repository, on each JVM that is named, from the
# class path and from the module path:
#   mvn install -DskipTests && src/it/run.sh /usr/lib/jvm/java-17/bin/java "$(native/test/java-arm64.sh 25)/bin/java"
set -eu
cd "$(dirname "$0")/consumer"
mvn -q -B -ntp package
modules=io.nativenorm,org.bytedeco.javacpp,org.bytedeco.dnnl,org.bytedeco.opencl
for java in "$@"; do
  "$java" --enable-native-access=ALL-UNNAMED -cp "target/consumer.jar:target/lib/*" consumer.App FUSED ONEDNN
  "$java" --enable-native-access=$modules --add-modules ALL-MODULE-PATH -p target/consumer.jar:target/lib \
    -m consumer/consumer.App FUSED ONEDNN
done
