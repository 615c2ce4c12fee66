#!/bin/sh
# Makes a JDK for arm64 that runs on this machine under QEMU, 17 or 25, from Debian's packages, and prints its folder:
#   mvn surefire:test -Djvm="$(native/test/java-arm64.sh 17)/bin/java" -Dtest.jvmOptions=-XX:+UseSerialGC
# Needs qemu-user-static and, on Debian, apt-get; nothing is installed: the packages are unpacked into target/arm64-<version>.
set -eu
cd "$(dirname "$0")/../.."
version=${1:-17}
case $version in
  17) release=bookworm ;;
  25) release=trixie ;;
  *) echo "java-arm64.sh: 17 or 25, not $version" >&2 && exit 2 ;;
esac
folder=$PWD/target/arm64-$version
root=$folder/root
home=$root/usr/lib/jvm/java-$version-openjdk-arm64
qemu=$(command -v qemu-aarch64-static) || { echo "java-arm64.sh: apt-get install qemu-user-static" >&2; exit 3; }

# Where this machine's own packages come from: "debian" or "debian-security".
repository() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep "/$1/*\$" | head -n 1
}

if [ ! -x "$home/bin/java" ]; then
  rm -rf "$folder"
  [ "$(repository debian)" ] || apt-get -q update >&2
  apt=$folder/apt
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts" "$root"
  : >"$apt/status"
  key=signed-by=/usr/share/keyrings/debian-archive-keyring.gpg
  cat >"$apt/sources.list" <<END
deb [$key] $(repository debian) $release main
deb [$key] $(repository debian-security) $release-security main
END
  # An apt of its own that believes in a machine without packages, and so finds all that a JDK needs.
  foreign() {
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root -o Dir::State="$apt" \
      -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" -o Dir::Etc::sourcelist="$apt/sources.list" \
      -o Dir::Etc::sourceparts="$apt/parts" -o Debug::NoLocking=1 "$@" >&2
  }
  foreign update
  foreign install -y --download-only --no-install-recommends openjdk-$version-jre-headless
  for package in "$apt"/cache/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
  # From trixie on all of /lib is in /usr/lib; the link is in a package that a JDK does not need.
  [ -e "$root/lib" ] || ln -s usr/lib "$root/lib"
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
