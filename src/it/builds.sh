#!/usr/bin/env bash
# The lines of docs/loading.md for sbt and Gradle: the consumer's program with what they resolve, which are one platform's
# binaries, and one version of JavaCPP where another library asks for ND4J's. nativenorm is in Maven's local repository:
#   mvn install -DskipTests && src/it/builds.sh [sbt] [gradle]
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- sbt gradle
root=$PWD
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
sbt=1.11.7

# lines LANGUAGE: what the page has in it.
lines() {
  sed -n '/^```'"$1"'$/,/^```$/{/^```/d;p}' "$root/docs/loading.md"
}

# project NAME: an empty one in target/builds, with the program.
project() {
  rm -rf "target/builds/$1"
  mkdir -p "target/builds/$1/src/main/java"
  cp -r src/it/consumer/src/main/java/consumer "target/builds/$1/src/main/java"
  cd "target/builds/$1"
}

# check FILE: of a class path, a jar a line.
check() {
  local ours theirs
  ours=$(grep -c '/nativenorm-.*-linux-x86_64\.jar$' "$1" || true)
  theirs=$(grep -cE '(arm64|ppc64le|riscv64|macosx-x86_64|windows-x86_64|ios-x86_64|android-x86_64)\.jar$' "$1" || true)
  versions=$(grep -oE '/javacpp-[0-9.]+[0-9]' "$1" | sort -u)
  if [ "$ours" != 1 ] || [ "$theirs" != 0 ] || [ "$versions" != /javacpp-1.5.13 ]; then
    cat "$1" >&2
    echo "builds: not one platform's binaries and one version of JavaCPP, the newest" >&2
    exit 1
  fi
}

build_sbt() (
  mvn -q -B -ntp dependency:copy -Dartifact="org.scala-sbt:sbt-launch:$sbt" -DoutputDirectory=target/builds -Dmdep.stripVersion
  project sbt
  mkdir project
  echo "sbt.version=$sbt" >project/build.properties
  sbt() {
    "$java" -Dsbt.color=false -Dsbt.supershell=false -Dsbt.server.autostart=false \
      -jar ../sbt-launch.jar "$@" </dev/null
  }
  {
    lines scala
    printf 'libraryDependencies += "org.bytedeco" %% "javacpp" %% "1.5.7"\n'
    printf 'autoScalaLibrary := false\ncrossPaths := false\n'
  } >build.sbt
  sbt "export Runtime/dependencyClasspath" "run FUSED" | tee log
  grep '^/.*\.jar' log | tr : '\n' >paths
  check paths
)

build_gradle() (
  project gradle
  {
    printf "apply plugin: 'application'\nmainClassName = 'consumer.App'\n"
    lines groovy
    printf "dependencies { implementation 'org.bytedeco:javacpp:1.5.7' }\n"
    printf "run { args 'FUSED' }\ntask paths { doLast { configurations.runtimeClasspath.each { println it } } }\n"
  } >build.gradle
  echo "rootProject.name = 'consumer'" >settings.gradle
  gradle --no-daemon paths run | tee log
  grep '^/.*\.jar' log >paths
  check paths
)

for build in "$@"; do "build_$build"; done
