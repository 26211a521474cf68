# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The guest's /usr/lib/modules/VERSION: hard links to the stock modules, plus
# ours under extra/. A tree of its own for each checkout; depmod replaces
# index files instead of writing into them, so the stock tree stays as it is.

# guest_modules RELEASE STOCK: brings the tree up to date and prints its path.
guest_modules() {
    local release=$1 stock=$2 kept tree built ko changed=no
    kept=$release$(abi_suffix)
    tree=$RVS_WORK/modules/$kept
    built=$RVS_REPO/build/kbuild/$kept
    mkdir -p "$RVS_WORK/modules"
    # Not while they are built; and in this order, as a build takes longer than others wait here.
    build_lock
    exec 8>"$RVS_WORK/modules/lock"
    flock -w 120 8 || die "another run holds $RVS_WORK/modules/lock"
    # A new root file system or kernel leaves old links behind.
    if [ ! "$tree/vmlinuz" -ef "$stock/vmlinuz" ]; then
        rm -rf "$tree" "$tree.tmp"
        cp -al "$stock" "$tree.tmp"
        mkdir -p "$tree.tmp/extra"
        mv "$tree.tmp" "$tree"
    fi
    for ko in "$tree/extra"/*.ko; do
        [ -e "$ko" ] && [ ! -e "$built/${ko##*/}" ] && rm -f "$ko" && changed=yes
    done
    for ko in "$built"/*.ko; do
        [ -e "$ko" ] || continue
        if ! cmp -s "$ko" "$tree/extra/${ko##*/}"; then
            cp "$ko" "$tree/extra/${ko##*/}"
            changed=yes
        fi
    done
    if [ $changed = yes ]; then
        "$RVS_REPO/scripts/in-root" --bind "$tree:/usr/lib/modules/$release" \
            -- depmod "$release" >&2
    fi
    exec 5>&- 8>&-
    echo "$tree"
}
