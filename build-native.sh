#!/bin/sh
# Builds the native library for this platform and puts it where the class path and the jar take it from. Maven calls it;
# it also works by itself, from a clean checkout. Plain sh, for machines where there is no bash.
set -eu
cd "$(dirname "$0")"

usage() {
  cat <<'END'
Usage: ./build-native.sh [options]

Builds the native library for the JVM into target/classes/io/nativenorm/engine/fused/<platform>, and what GraalVM's
native-image must know of it into target/classes/META-INF/native-image/<platform>/jninativenorm.

  --platform NAME   this machine's, which is the default, or on Linux linux-x86_64, linux-arm64 or windows-x86_64 with
                    Debian's cross compilers
  --test            build and run the native tests instead, without Java; another platform's under QEMU or Wine
  --only NAMES      with --test: some groups of them, such as kernels,phases
  --sanitize NAMES  with --test: under sanitizers, address, undefined, address,undefined or thread
  --install         install what is missing first, a JDK and Maven too: with apt-get, for which sudo may ask for a
                    password, or with Homebrew on macOS. Under sudo in a user's clone it installs and does not build
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

test= only= sanitize= install= javacpp= require= platform=
while [ $# -gt 0 ]; do
  case $1 in
    --test) test=yes ;;
    --install) install=yes ;;
    --help | -h) usage && exit ;;
    --only | --sanitize | --javacpp | --require | --platform)
      [ $# -ge 2 ] || wrong "$1 needs a value"
      case $1 in
        --only) only=$2 ;;
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
case $sanitize in
  '' | address | undefined | address,undefined | thread) ;;
  *) wrong "--sanitize is address, undefined, address,undefined or thread" ;;
esac
[ -z "$sanitize$only" ] || [ "$test" ] || wrong "--only and --sanitize need --test"
[ -z "$javacpp" ] || [ -f "$javacpp" ] || wrong "no file $javacpp"

# What root builds in a user's clone, the user's own builds cannot overwrite. Maven has made its target/ already.
guest=
if [ "$(id -u)" = 0 ] && [ "${SUDO_USER:-root}" != root ] && [ "$(ls -dn . | tr -s ' ' | cut -d ' ' -f 3)" != 0 ]; then
  guest=yes
  [ "$install$javacpp" ] || wrong "root's target/ would be in the way of $SUDO_USER's builds: leave out sudo"
fi

# Explains why there is no library, once, and ends: an error only for whoever asked for the library.
missing() {
  status=3 word=WARNING
  case ",$require," in *,fused,*) status=1 word=ERROR ;; esac
  {
    echo "$word: the native library was not built."
    printf '%s\n' "${1%
}"
    [ $status = 1 ] || echo "NativeNorm works without it, on oneDNN and Java."
  } >&2
  exit $status
}

case $(uname -sm) in
  'Linux x86_64') host=linux-x86_64 ;;
  'Linux aarch64') host=linux-arm64 ;;
  'Darwin arm64') host=macosx-arm64 ;;
  'Darwin x86_64') host=macosx-x86_64 ;;
  MINGW64_NT*' x86_64' | MSYS_NT*' x86_64') host=windows-x86_64 ;;
  *) missing "There is none for $(uname -sm)." ;;
esac
# The operating system and the processor, as CMake calls them.
case ${platform:=$host} in
  linux-x86_64) system=Linux processor=x86_64 march=-march=x86-64-v4 ;;
  linux-arm64) system=Linux processor=aarch64 march= ;;
  macosx-x86_64) system=Darwin processor=x86_64 march=-march=x86-64-v4 ;;
  macosx-arm64) system=Darwin processor=arm64 march= ;;
  windows-x86_64) system=Windows processor=x86_64 march=-march=x86-64-v4 ;;
  *) wrong "--platform is linux-x86_64, linux-arm64, macosx-x86_64, macosx-arm64 or windows-x86_64" ;;
esac
# The compiler, Debian's package of it, and what runs its programs if that is not this machine.
cross=yes suffix=-$platform emulator=
case $host:$platform in
  macosx-*:$host) cross= suffix= cxx=clang++ compiler= ;;
  *:$host) cross= suffix= cxx=g++ compiler=g++ ;;
  linux-*:linux-*)
    cxx=$processor-linux-gnu-g++ compiler=g++-$(echo $processor | tr _ -)-linux-gnu emulator=qemu-$processor-static
    ;;
  linux-*:windows-x86_64) cxx=x86_64-w64-mingw32-g++-posix compiler=g++-mingw-w64-x86-64-posix emulator=wine ;;
  *) wrong "$platform cannot be built on $host" ;;
esac
cxx=${CXX:-$cxx}
[ $system != Windows ] || [ -z "$sanitize" ] || wrong "--sanitize is not for Windows, whose g++ has no sanitizers"

# As programs of Windows understand it, if this is Windows.
path() {
  case $host in
    windows-*) cygpath -m "$1" ;;
    *) printf '%s\n' "$1" ;;
  esac
}

root=$(path "$PWD")
version=$(sed -n 's|.*<javacpp.version>\(.*\)</javacpp.version>.*|\1|p' pom.xml)
# The tests and the library are made of the same objects.
build=target/native${sanitize:+-$sanitize}$suffix
jar=$root/$build/javacpp-$version.jar
[ -z "$javacpp" ] || javacpp=$(path "$javacpp")

# Where Highway's headers are, if the compiler does not look there by itself.
headers=
case $host:$system in
  linux-*:Windows)
    # Linux' own, and nothing else of Linux.
    if [ "$guest" ]; then
      headers=$(mktemp -d)
      trap 'rm -r "$headers"' EXIT
    else
      headers=$root/target/headers
    fi
    mkdir -p "$headers"
    ln -sfn /usr/include/hwy "$headers/hwy"
    ;;
  macosx-*) ! command -v brew >/dev/null || headers=$(brew --prefix)/include ;;
esac

# Sets `jdk` and what is missing: `lacks`, a line each, and `packages`, as the machine's installer calls them.
check() {
  lacks= packages=
  # JAVA_HOME's, else the one of the javac on the path.
  jdk=${JAVA_HOME:-/none}
  if [ ! -x "$jdk/bin/javac" ]; then
    case $host in
      macosx-*) jdk=$(/usr/libexec/java_home 2>/dev/null) || jdk=/none ;; # javac is a program that looks for one
      *) ! command -v javac >/dev/null || jdk=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")") ;;
    esac
  fi
  jdk=$(path "$jdk")
  highway="Google Highway's headers, 0.17 or later: hwy/highway.h"
  if ! command -v "$cxx" >/dev/null; then
    lack "a C++ compiler: $cxx" "$compiler" '' gcc
    [ -f /usr/include/hwy/highway.h ] || [ -f /usr/local/include/hwy/highway.h ] ||
      lack "$highway" libhwy-dev highway highway
  elif ! echo | "$cxx" $march -std=c++17 -x c++ -E - >/dev/null 2>&1; then
    lack "a newer C++ compiler: $cxx does not know -std=c++17 $march, g++ 11 and clang++ 12 do" "$compiler" '' gcc
  elif ! printf '#include <hwy/highway.h>\n#if HWY_MAJOR == 0 && HWY_MINOR < 17\n#error\n#endif\n' |
    "$cxx" ${headers:+-isystem "$headers"} -std=c++17 -x c++ -E - >/dev/null 2>&1; then
    lack "$highway" libhwy-dev highway highway
  fi
  if [ "$emulator" ] && [ "$test" ]; then
    command -v $emulator >/dev/null || case $emulator in
      wine) lack "Wine, to run the tests: wine" wine ;;
      *) lack "QEMU, to run the tests: $emulator" qemu-user-static ;;
    esac
  fi
  command -v cmake >/dev/null || lack "cmake" cmake cmake cmake
  case $host in
    windows-*) command -v ninja >/dev/null || lack "ninja" '' '' ninja ;;
    *) command -v make >/dev/null || command -v ninja >/dev/null || lack "make or ninja" make ninja ;;
  esac
  if [ ! "$test" ]; then
    if [ ! -x "$jdk/bin/javac" ] || [ ! -f "$jdk/include/jni.h" ]; then
      lack "a JDK with javac and include/jni.h, in JAVA_HOME or on the path" default-jdk-headless
    elif release=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$jdk/release" 2>/dev/null) && [ "${release:-17}" -lt 17 ]; then
      lack "a JDK 17 or later: $jdk is older" default-jdk-headless
    fi
    # Maven builds everything else.
    [ ! "$install" ] && [ -f "${javacpp:-$jar}" ] || command -v mvn >/dev/null || lack "mvn, or --javacpp JAR" maven maven
  fi
}

# What is missing, and the package it is in: Debian's, Homebrew's, MSYS2's; where there is none, nothing.
lack() {
  lacks="$lacks  - $1
"
  case $host in
    linux-*) package=${2-} ;;
    macosx-*) package=${3-} ;;
    windows-*) package=${4:+${MINGW_PACKAGE_PREFIX:-mingw-w64-x86_64}-$4} ;;
  esac
  [ "$package" ] || return 0
  case " $packages " in *" $package "*) ;; *) packages="${packages:+$packages }$package" ;; esac
}

# Sets `how`, the command that installs `packages`, `where` that is so, and `hinders`: why --install cannot run it.
plan() {
  hinders=
  case $host in
    linux-*)
      how="apt-get install -y --no-install-recommends $packages" where="On Debian and Ubuntu"
      if ! command -v apt-get >/dev/null; then
        hinders="There is no apt-get here"
      elif [ "$(id -u)" = 0 ]; then
        :
      elif ! command -v sudo >/dev/null; then
        hinders="Only root may install, and there is no sudo here" where="As root"
      else
        how="sudo $how"
        # It asks on the terminal, whatever standard input is.
        [ ! "$install" ] || sudo -n apt-get --version >/dev/null 2>&1 || (: </dev/tty) 2>/dev/null ||
          hinders="sudo needs a password, and there is no terminal to ask for it on" where="On one"
      fi
      ;;
    macosx-*)
      how="brew install $packages" where="clang++ is of Xcode:  xcode-select --install
the rest of Homebrew"
      command -v brew >/dev/null || hinders="There is no brew here"
      ;;
    windows-*) how="pacman -S --needed $packages" where="In a shell of MSYS2" hinders="On Windows that is for you to do" ;;
  esac
}

check
advice=
if [ "$packages" ]; then
  plan
  advice="$where:  $how
"
  if [ ! "$install" ]; then
    [ "$hinders" ] || advice="${advice}which ./build-native.sh --install does for you.
"
  elif [ "$hinders" ]; then
    advice="$hinders. $advice"
  else
    { case $host in linux-*) ${how%%apt-get*} apt-get update -q ;; esac && $how; } || {
      echo "build-native.sh: failed: $how" >&2
      exit 1
    }
    check
  fi
fi
[ ! "$lacks" ] || missing "It needs
$lacks$advice"
if [ "$guest" ] && [ "$install" ]; then
  echo "build-native.sh: everything is installed. Build it without sudo, as $SUDO_USER:  ./build-native.sh"
  exit
fi

# A folder that was configured elsewhere or with another compiler is of no use.
key="$PWD $(command -v "$cxx")"
if [ "$(cat $build/key 2>/dev/null)" != "$key" ]; then
  rm -rf $build
  mkdir -p $build
  echo "$key" >$build/key
fi

set -- -DNATIVENORM_TESTS=ON -DNATIVENORM_SANITIZE="$sanitize"
if [ "$test" ]; then
  target=nativenorm_test
  set -- "$@" -DNATIVENORM_GROUPS="$(echo "$only" | tr , ';')"
else
  target=jninativenorm
  # One copy in one place, so that with Maven and without it the same is built.
  if [ "$javacpp" ]; then
    cmp -s "$javacpp" "$jar" || cp "$javacpp" "$jar"
  elif [ ! -f "$jar" ]; then
    mvn -q -B dependency:copy -Dartifact="org.bytedeco:javacpp:$version" -DoutputDirectory="$root/$build" || exit 1
  fi
  set -- "$@" -DNATIVENORM_JAVACPP="$jar" -DNATIVENORM_JDK="$jdk" -DNATIVENORM_PLATFORM=$platform \
    -DNATIVENORM_CLASSES="$root/target/classes"
fi
if [ "$cross" ]; then
  set -- "$@" -DCMAKE_SYSTEM_NAME=$system -DCMAKE_SYSTEM_PROCESSOR=$processor
  case $emulator in
    wine)
      set -- "$@" -DCMAKE_CROSSCOMPILING_EMULATOR=wine
      # Windows of its own, 700 MB, without a browser and .NET. With its debugger a program that crashed would end with
      # status 0.
      export WINEPREFIX="${WINEPREFIX:-$PWD/target/wine}" WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml,winedbg.exe=
      ;;
    *) set -- "$@" -DCMAKE_CROSSCOMPILING_EMULATOR="$emulator;-L;/usr/$processor-linux-gnu" ;;
  esac
fi
[ -z "$headers" ] || set -- "$@" -DNATIVENORM_HIGHWAY="$headers"
# On Windows CMake would choose Visual Studio.
case $host in windows-*) set -- "$@" -G Ninja ;; *) command -v make >/dev/null || set -- "$@" -G Ninja ;; esac

# Shows what the tools say only if it is of interest.
quietly() {
  "$@" >$build/log 2>&1 || {
    cat $build/log >&2
    echo "build-native.sh: failed: $*" >&2
    exit 1
  }
}

export CXX="$cxx"
quietly cmake -S native -B $build "$@"
# A group that is not there is an error, not a run of no test.
for group in $(echo "$only" | tr , ' '); do
  (cd $build && ctest --show-only -R "^$group\$") | grep -q 'Total Tests: 1$' || wrong "there are no tests $group"
done
quietly cmake --build $build --target $target --parallel "$(nproc 2>/dev/null || sysctl -n hw.ncpu)"
[ "$test" ] || exit 0
# Two programs at once would both make Windows' folder.
[ "$emulator" != wine ] || quietly wine wineboot --init
cd $build
exec ctest --output-on-failure --parallel 2
