#!/usr/bin/env bash
# Installs the arm64 packages of build/aarch64/packages into a fresh Debian of that architecture, with what they depend on, and lets them
# run the demo and pack a model there: all under qemu, in build/arm64-root, with no mount and no setting of this machine changed (proot).
# Outside the tests: some ten minutes.  Needs debootstrap, proot and qemu-user-static (apt-get install), and a mirror, which is that of this
# machine's apt unless MIRROR names one.  As root or not.
#     tests/packages/arm64_root.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD/build/arm64-root
release=bookworm
mirror=${MIRROR:-$(apt-get indextargets --format '$(SITE)' "Created-By: Packages" 2>/dev/null | grep -v security | head -n 1)}
inside() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive \
        proot -q qemu-aarch64-static -0 -r "$root" -w / -b /proc -b /etc/resolv.conf -b /dev/null -b /dev/urandom "$@"
}

(cd build/aarch64 && cpack -B packages >/dev/null)
if [ ! -f "$root/installed" ]; then
    rm -rf "$root"
    debootstrap --foreign --arch=arm64 --variant=minbase "$release" "$root" "$mirror" >build/arm64-root.log
    inside env DEBOOTSTRAP_DIR=/debootstrap /debootstrap/debootstrap --second-stage >>build/arm64-root.log
    touch "$root/installed"
fi
mkdir -p "$root/packages"
cp build/aarch64/packages/*.deb examples/demo/demo.gguf examples/demo/one.jpg "$root/packages/"
cp -r tests/data/gemma3-small/hf "$root/packages/"
inside sh -c 'apt-get update -qq && apt-get install -y -qq /packages/*.deb' >>build/arm64-root.log
inside dpkg -s gemlet gemlet-pack libgemlet-dev | grep -E '^(Package|Status|Version|Depends)'
answer=$(inside gemlet run -m /packages/demo.gguf --image /packages/one.jpg -p "Where is the star?" --temp 0)
echo "$answer"
[ "$answer" = "The star is at the bottom right." ]
inside gemlet-pack --hf /packages/hf -o /packages/small.gguf --quiet
inside gemlet info -m /packages/small.gguf --verify | head -n 2
[ -f "$root/usr/lib/libgemlet.a" ] && [ -f "$root/usr/share/man/man1/gemlet.1.gz" ]
