#!/bin/sh
# Makes a JDK for arm64 that runs on this machine under QEMU, from Debian's packages, and prints its folder:
#   mvn surefire:test -Djvm="$(native/test/java-arm64.sh)/bin/java" -Dtest.jvmOptions=-XX:+UseSerialGC
# Needs qemu-user-static and apt-get; nothing is installed: the packages are unpacked into target/arm64.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD/target/arm64/root
home=$root/usr/lib/jvm/java-17-openjdk-arm64
qemu=$(command -v qemu-aarch64-static) || { echo "java-arm64.sh: apt-get install qemu-user-static" >&2; exit 3; }

if [ ! -x "$home/bin/java" ]; then
  rm -rf target/arm64
  apt=$PWD/target/arm64/apt
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$root"
  : >"$apt/status"
  # An apt of its own that believes in a machine without packages, and so finds all that a JDK needs.
  foreign() {
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root -o Dir::State="$apt" \
      -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" -o Debug::NoLocking=1 "$@" >&2
  }
  foreign update
  foreign install -y --download-only --no-install-recommends openjdk-17-jre-headless
  for package in "$apt"/cache/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
  # Links of Debian's that begin at the root of the machine.
  find "$root" -type l -lname '/*' | while read -r link; do ln -sfn "$root$(readlink "$link")" "$link"; done
  # Every JVM that a test starts is java.home's bin/java. It forks: the usual helper is a program for arm64 that this
  # machine cannot start.
  mv "$home/bin/java" "$home/bin/java.arm64"
  cat >"$home/bin/java" <<END
#!/bin/sh
exec $qemu -L $root $home/bin/java.arm64 -Djdk.lang.Process.launchMechanism=FORK "\$@"
END
  chmod +x "$home/bin/java"
fi
echo "$home"
