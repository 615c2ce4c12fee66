#!/bin/sh
# Builds the native library for this platform and puts it where the class path and the jar take it from. Maven calls it;
# it also works by itself, from a clean checkout. Plain sh, for machines where there is no bash.
set -eu
cd "$(dirname "$0")"

usage() {
  cat <<'END'
Usage: ./build-native.sh [options]

Builds libjninativenorm.so into target/classes/io/nativenorm/engine/fused/<platform>.

  --platform NAME   linux-x86_64 or linux-arm64, else this machine's; another's with Debian's cross compiler
  --test            build and run the native tests instead, without Java; another platform's under QEMU
  --sanitize NAMES  with --test: under sanitizers, address, undefined or address,undefined
  --install         install what is missing with apt-get first
  --javacpp JAR     the javacpp.jar to build with, else Maven gets it
  --require NAMES   engines that must be there: with fused, missing tools are an error
  --help            this text

Environment: CXX, JAVA_HOME.
Exit status: 0 done, 1 failed, 2 wrong usage, 3 not built because tools are missing.
END
}

wrong() {
  echo "build-native.sh: $*" >&2
  echo "Try ./build-native.sh --help" >&2
  exit 2
}

test= sanitize= install= javacpp= require= platform=
while [ $# -gt 0 ]; do
  case $1 in
    --test) test=yes ;;
    --install) install=yes ;;
    --help | -h) usage && exit ;;
    --sanitize | --javacpp | --require | --platform)
      [ $# -ge 2 ] || wrong "$1 needs a value"
      case $1 in
        --sanitize) sanitize=$2 ;;
        --javacpp) javacpp=$2 ;;
        --platform) platform=$2 ;;
        --require) require=$(echo "$2" | tr -d ' ') ;;
      esac
      shift
      ;;
    *) wrong "unknown option $1" ;;
  esac
  shift
done
case $sanitize in '' | address | undefined | address,undefined) ;; *) wrong "--sanitize is address, undefined or address,undefined" ;; esac
[ -z "$sanitize" ] || [ "$test" ] || wrong "--sanitize needs --test"
[ -z "$javacpp" ] || [ -f "$javacpp" ] || wrong "no file $javacpp"

# Explains why there is no library, once, and ends: an error only for whoever asked for the library.
missing() {
  status=3 word=WARNING
  case ",$require," in *,fused,*) status=1 word=ERROR ;; esac
  {
    echo "$word: the native library was not built."
    printf '%s\n' "$1"
    [ $status = 1 ] || echo "NativeNorm works without it, on oneDNN and Java."
  } >&2
  exit $status
}

case $(uname -sm) in
  'Linux x86_64') host=linux-x86_64 ;;
  'Linux aarch64') host=linux-arm64 ;;
  *) missing "There is one for Linux on x86-64 and aarch64 only, this is $(uname -sm)." ;;
esac
case ${platform:=$host} in
  linux-x86_64) processor=x86_64 march=-march=x86-64-v4 ;;
  linux-arm64) processor=aarch64 march= ;;
  *) wrong "--platform is linux-x86_64 or linux-arm64" ;;
esac
if [ $platform = $host ]; then
  cross= cxx=${CXX:-g++} compiler=g++ suffix=
else
  cross=yes cxx=${CXX:-$processor-linux-gnu-g++} compiler=g++-$(echo $processor | tr _ -)-linux-gnu suffix=-$platform
fi
version=$(sed -n 's|.*<javacpp.version>\(.*\)</javacpp.version>.*|\1|p' pom.xml)
build=target/native$suffix
[ -z "$test" ] || build=target/native-${sanitize:-test}$suffix
jar=$PWD/$build/javacpp-$version.jar

# Sets `jdk`, and what is missing: `lacks`, a line each, and `packages`, Debian's names for them.
check() {
  lacks= packages=
  # JAVA_HOME's, else the one of the javac on the path.
  jdk=${JAVA_HOME:-/none}
  [ -x "$jdk/bin/javac" ] || ! command -v javac >/dev/null ||
    jdk=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
  highway="Google Highway's headers: hwy/highway.h"
  if ! command -v "$cxx" >/dev/null; then
    lack "a C++ compiler: $cxx" $compiler
    [ -f /usr/include/hwy/highway.h ] || [ -f /usr/local/include/hwy/highway.h ] || lack "$highway" libhwy-dev
  elif ! echo | "$cxx" $march -std=c++17 -x c++ -E - >/dev/null 2>&1; then
    lack "a newer C++ compiler: $cxx does not know -std=c++17 $march, g++ 11 and clang++ 12 do" $compiler
  elif ! printf '#if !__has_include(<hwy/highway.h>)\n#error\n#endif\n' |
    "$cxx" -std=c++17 -x c++ -E - >/dev/null 2>&1; then
    lack "$highway" libhwy-dev
  fi
  [ ! "$cross" ] || [ ! "$test" ] || command -v qemu-$processor-static >/dev/null ||
    lack "QEMU, to run the tests: qemu-$processor-static" qemu-user-static
  command -v cmake >/dev/null || lack "cmake" cmake
  command -v make >/dev/null || command -v ninja >/dev/null || lack "make or ninja" make
  if [ ! "$test" ]; then
    [ -x "$jdk/bin/javac" ] && [ -f "$jdk/include/jni.h" ] ||
      lack "a JDK with javac and include/jni.h, in JAVA_HOME or on the path" default-jdk-headless
    [ -f "${javacpp:-$jar}" ] || command -v mvn >/dev/null || lack "mvn, or --javacpp JAR" maven
  fi
}

lack() {
  lacks="$lacks  - $1
"
  case " $packages " in *" $2 "*) ;; *) packages="${packages:+$packages }$2" ;; esac
}

check
if [ "$packages" ] && [ "$install" ]; then
  if ! command -v apt-get >/dev/null; then
    sudo=none why="there is no apt-get here"
  elif [ "$(id -u)" = 0 ]; then
    sudo=
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo=sudo
  else
    sudo=none why="only root may, and sudo asks for a password"
  fi
  if [ "$sudo" = none ]; then
    echo "build-native.sh: cannot install $packages: $why" >&2
  else
    $sudo apt-get update -q && $sudo apt-get install -q -y --no-install-recommends $packages || exit 1
    check
  fi
fi
[ -z "$packages" ] || missing "It needs
${lacks}On Debian and Ubuntu:  apt-get install $packages
which ./build-native.sh --install does for you."

# A folder that was configured elsewhere or with another compiler is of no use.
key="$PWD $(command -v "$cxx")"
if [ "$(cat $build/key 2>/dev/null)" != "$key" ]; then
  rm -rf $build
  mkdir -p $build
  echo "$key" >$build/key
fi

if [ "$test" ]; then
  set -- -DNATIVENORM_TESTS=ON -DNATIVENORM_SANITIZE="$sanitize"
else
  # One copy in one place, so that with Maven and without it the same is built.
  if [ "$javacpp" ]; then
    cmp -s "$javacpp" "$jar" || cp "$javacpp" "$jar"
  elif [ ! -f "$jar" ]; then
    mvn -q -B dependency:copy -Dartifact="org.bytedeco:javacpp:$version" -DoutputDirectory="$PWD/$build" || exit 1
  fi
  set -- -DNATIVENORM_JAVACPP="$jar" -DNATIVENORM_JDK="$jdk" -DNATIVENORM_PLATFORM=$platform \
    -DNATIVENORM_OUTPUT="$PWD/target/classes/io/nativenorm/engine/fused/$platform"
fi
[ -z "$cross" ] || set -- "$@" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=$processor \
  -DCMAKE_CROSSCOMPILING_EMULATOR="qemu-$processor-static;-L;/usr/$processor-linux-gnu"
command -v make >/dev/null || set -- "$@" -G Ninja

# Shows what the tools say only if it is of interest.
quietly() {
  "$@" >$build/log 2>&1 || {
    cat $build/log >&2
    echo "build-native.sh: failed: $*" >&2
    exit 1
  }
}

quietly cmake -S native -B $build -DCMAKE_CXX_COMPILER="$(command -v "$cxx")" "$@"
quietly cmake --build $build --parallel "$(nproc)"
[ -z "$test" ] || (cd $build && exec ctest --output-on-failure) || exit 1
