# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The root file system: Debian with build tools and test programs. Its key
# covers this file, so a change here builds a new one.

host_tools() {
    command -v mmdebstrap >/dev/null && return
    command -v apt-get >/dev/null || {
        echo "mmdebstrap is missing and this host has no apt-get"
        return 1
    }
    DEBIAN_FRONTEND=noninteractive apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends mmdebstrap
}

# mmdebstrap takes its default mirror and writes the suite's lines itself;
# the backports line is made from the first of them.
make_rootfs() {
    rm -rf --one-file-system "$RVS_ROOT" "$RVS_ROOT.tmp"
    mmdebstrap --mode=root --variant=minbase \
        --include="$(list_of "$RVS_REPO/qemu/packages.txt" | paste -sd, -)" \
        --setup-hook="sed -n 's/ $RVS_SUITE / $RVS_SUITE-backports /p' \"\$1/etc/apt/sources.list\" | head -n 1 >\"\$1/etc/apt/sources.list.d/backports.list\"" \
        --setup-hook="test -s \"\$1/etc/apt/sources.list.d/backports.list\"" \
        "$RVS_SUITE" "$RVS_ROOT.tmp"
    # Where in-root mounts the checkout's own folders, and the guest the share.
    mkdir -p "$RVS_ROOT.tmp"/rvs/{cargo,target} "$RVS_ROOT.tmp/mnt/share"
    mv "$RVS_ROOT.tmp" "$RVS_ROOT"
}

# From PyPI, because it brings a static init in Rust: 9 s to a prompt under
# TCG, against 27 s with the shell init of Debian's package.
install_virtme() {
    "$RVS_REPO/scripts/in-root" --net -- \
        pip install --break-system-packages --root-user-action=ignore \
        --no-cache-dir "virtme-ng==$RVS_VIRTME"
    local init
    init=$(find "$RVS_ROOT/usr/local/lib" -name virtme-ng-init -type f -size +100k)
    [ -n "$init" ] || {
        echo "virtme-ng $RVS_VIRTME came without its Rust init"
        return 1
    }
    install -D -m 755 "$RVS_REPO/qemu/port-links" "$RVS_ROOT/usr/lib/systemd/systemd-udevd"
}
