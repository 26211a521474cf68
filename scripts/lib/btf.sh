# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Modules get BTF from pahole, by flags that it may not know, and its lack ends the kernel's build. Sourced.

# no_btf KDIR PAHOLE: why modules for that kernel are built without; nothing if they can have it. PAHOLE is
# what `pahole --version` says.
no_btf() {
    local config=$1/.config want have
    [ -r "$config" ] || config=$1/include/config/auto.conf
    want=$(sed -n 's/^CONFIG_PAHOLE_VERSION=//p' "$config")
    have=$(sed -nE 's/^v?([0-9]+)[.]([0-9]+).*/\1 \2/p' <<<"$2" | awk '{ print $1 * 100 + $2 }')
    if ! grep -qx CONFIG_DEBUG_INFO_BTF=y "$config"; then
        echo "this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)"
    elif ! grep -qx CONFIG_DEBUG_INFO_BTF_MODULES=y "$config"; then
        echo "this kernel takes no BTF of modules (CONFIG_DEBUG_INFO_BTF_MODULES)"
    elif [ ! -s "$1/vmlinux" ]; then
        echo "no vmlinux in $1, which has the kernel's BTF"
    elif [ -z "$have" ]; then
        echo "no pahole (Debian: dwarves)"
    elif [ "$have" -lt "${want:-0}" ]; then
        echo "pahole ${2#v} is older than the kernel's, $((want / 100)).$((want % 100)) (Debian: dwarves)"
    fi
}
