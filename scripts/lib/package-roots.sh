# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Root file systems of their own for what few do: making packages, and a machine to install them on.
# For sourcing after common.sh.

# package_root NAME: its folder, named by what it is made of.
package_root() {
    local key
    key=$({
        list_of "$RVS_REPO/packaging/$1.txt"
        echo "$RVS_SUITE"
    } | key_of)
    echo "$RVS_CACHE/$1-$key"
}

# make_package_root NAME: makes it; backports have the newer kernels.
make_package_root() {
    local root
    root=$(package_root "$1")
    rm -rf --one-file-system "$root" "$root.tmp"
    mmdebstrap --mode=root --variant=minbase --include="$(list_of "$RVS_REPO/packaging/$1.txt" | paste -sd, -)" \
        --setup-hook="sed -n 's/ $RVS_SUITE / $RVS_SUITE-backports /p' \"\$1/etc/apt/sources.list\" | head -n 1 >\"\$1/etc/apt/sources.list.d/backports.list\"" \
        "$RVS_SUITE" "$root.tmp"
    mkdir -p "$root.tmp"/rvs/{cargo,target}
    mv "$root.tmp" "$root"
}
