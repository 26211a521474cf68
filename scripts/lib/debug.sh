# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The debug kernel: what it is called and where it is. See scripts/debug-kernel.

# Rust with KASAN needs the kernel built by clang, and modules for it too.
RVS_DEBUG_LLVM=-19
# Without the first, interrupt routing by ACPI stalls 30 s a device; without the second, KASAN
# reports once and then no more.
# shellcheck disable=SC2034 # for scripts/vm
RVS_DEBUG_APPEND="acpi=noirq kasan_multi_shot"

debug_release() { echo "$(kernel_version)-debug"; }

# debug_kernel: its folder, named by what makes it.
debug_kernel() {
    local version key
    version=$(kernel_version)
    key=$({
        cat "$RVS_REPO/qemu/debug-kernel.config" "$RVS_REPO/scripts/lib/debug-kernel-in-root"
        echo "$version $RVS_DEBUG_LLVM"
        # Not the root file system's key: most of its packages have no part in this.
        dpkg-query --admindir="$RVS_ROOT/var/lib/dpkg" -W \
            "clang${RVS_DEBUG_LLVM}" "lld${RVS_DEBUG_LLVM}" rustc bindgen
    } | key_of)
    echo "$RVS_CACHE/debug-$version-$key"
}

# guest_release: of the kernel that guests run, stock or with DEBUG=1 the debug kernel.
guest_release() {
    if [ "${DEBUG:-}" = 1 ]; then debug_release; else echo "$(kernel_version)-amd64"; fi
}

# guest_stock: the module tree that came with it.
guest_stock() {
    local kernel=$RVS_ROOT/usr
    if [ "${DEBUG:-}" = 1 ]; then
        kernel=$(debug_kernel)/modules
        [ -s "$kernel/../stamp" ] || die "the debug kernel is not built" "run: make debug-kernel"
    fi
    echo "$kernel/lib/modules/$(guest_release)"
}
