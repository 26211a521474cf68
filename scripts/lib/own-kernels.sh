# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Kernels that are built here from the stock kernel's source, beside the stock one:
#   debug   KASAN, lockdep ... for guests with DEBUG=1
#   native  User-Mode Linux, an ordinary process, for scripts/bench-native
# What they are called, where they are, what differs. scripts/own-kernel builds them.

# What the debug kernel's command line needs:
# - acpi=noirq: interrupt routing by ACPI stalls 30 s a device.
# - kasan_multi_shot: KASAN would report once and then no more.
# - no5lvl: identify_cpu() clears the CPU's features for a moment, with interrupts on, and KASAN
#   asks them for the size of the address space: with five levels of page tables a tick there
#   floods the console with "wild-memory-access" and the guest never boots.
# shellcheck disable=SC2034 # for scripts/vm
RVS_DEBUG_APPEND="acpi=noirq kasan_multi_shot no5lvl"

# own_arguments NAME: what make is told for the kernel and for modules, one a line.
own_arguments() {
    case $1 in
        # Rust with KASAN needs the kernel built by clang, and modules for it too.
        debug) echo "LLVM=-19" ;;
        native) printf '%s\n' "ARCH=um" "CC=x86_64-linux-gnu-gcc-14" ;;
    esac
}

# own_module_arguments NAME: what it is told for modules only.
own_module_arguments() {
    # As the C code there, which has the kernel anywhere: the loader knows no table of offsets.
    if [ "$1" = native ]; then echo "KRUSTFLAGS=-Crelocation-model=static -Ccode-model=large"; fi
}

# own_tools NAME: the packages that decide what comes out.
own_tools() {
    case $1 in
        debug) echo clang-19 lld-19 rustc bindgen ;;
        native) echo gcc-14 binutils rustc bindgen ;;
    esac
}

# own_image NAME: what is started, in the build folder.
own_image() {
    case $1 in
        debug) echo arch/x86/boot/bzImage ;;
        native) echo linux ;;
    esac
}

own_release() { echo "$(kernel_version)-$1"; }

# own_kernel NAME: its folder, named by what makes it.
own_kernel() {
    local name=$1 version tools key
    version=$(kernel_version)
    read -ra tools < <(own_tools "$name")
    key=$({
        cat "$RVS_REPO/qemu/$name-kernel.config" "$RVS_REPO/scripts/lib/own-kernel-in-root"
        echo "$version"
        own_arguments "$name"
        # Not the root file system's key: most of its packages have no part in this.
        dpkg-query --admindir="$RVS_ROOT/var/lib/dpkg" -W "${tools[@]}"
    } | key_of)
    echo "$RVS_CACHE/$name-$version-$key"
}

# built_kernel NAME: the same, if it is complete.
built_kernel() {
    local kernel
    kernel=$(own_kernel "$1")
    [ -s "$kernel/stamp" ] || die "the $1 kernel is not built" "run: make $1-kernel"
    echo "$kernel"
}

# own_choice: which of them DEBUG=1 or NATIVE=1 asks for; nothing for the stock kernel.
own_choice() {
    if [ "${DEBUG:-}" = 1 ]; then echo debug; elif [ "${NATIVE:-}" = 1 ]; then echo native; fi
}

# guest_release: of the kernel that guests run.
guest_release() {
    local name
    name=$(own_choice)
    echo "$(kernel_version)-${name:-$(debian_arch)}"
}

# guest_stock: the module tree that came with it.
guest_stock() {
    local name kernel=$RVS_ROOT/usr
    name=$(own_choice)
    if [ "$(kernel_kind)" = headers ]; then kernel=$(header_kernel)/tree/usr; fi
    if [ -n "$name" ]; then kernel=$(built_kernel "$name")/modules || exit; fi
    echo "$kernel/lib/modules/$(guest_release)"
}
