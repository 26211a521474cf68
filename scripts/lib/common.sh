# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Names and messages that every script shares. Sourced, never run.

RVS_REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
RVS_CACHE=${RVS_CACHE:-${HOME:-/root}/.cache/rvs}

RVS_SUITE=trixie
RVS_VIRTME=1.42

say() { printf '%s\n' "$*" >&2; }

# die WHAT [WHAT TO DO]...: one clear sentence a line, exit 1.
die() {
    printf 'error: %s\n' "$1" >&2
    shift
    local hint
    for hint in "$@"; do printf '       %s\n' "$hint" >&2; done
    exit 1
}

# need_root WHAT-TO-RUN: chroot and mount namespaces need root.
need_root() {
    [ "$(id -u)" -eq 0 ] && return
    die "this step needs root (chroot and mount namespaces)" \
        "run: sudo RVS_CACHE=$RVS_CACHE $1"
}

# list_of FILE: its words, comments left out.
list_of() { sed 's/#.*//' "$1" | tr -s ' \t\n' '\n' | sed '/^$/d'; }

key_of() { sha256sum | cut -c1-12; }

# What belongs to this checkout (cargo's target folder, the guest's module
# tree) is keyed by its path: two checkouts never see each other's objects.
RVS_WORK=$RVS_CACHE/work/$(printf '%s' "$RVS_REPO" | key_of)
export RVS_WORK

# build_lock: one build of this checkout at a time, as two would write over each other's objects. It
# is held until the process ends, or what it has become by exec.
build_lock() {
    mkdir -p "$RVS_CACHE/work"
    exec 5>"$RVS_WORK.lock"
    if ! flock -n 5; then
        say "another build of this checkout is running, waiting for it (at most 60 minutes)"
        flock -w 3600 5 || die "the other build did not end" "see: fuser -v $RVS_WORK.lock"
    fi
}

# The root file system's key: everything that decides what is in it.
root_key() {
    {
        list_of "$RVS_REPO/qemu/packages.txt"
        cat "$RVS_REPO/scripts/lib/rootfs.sh" "$RVS_REPO/qemu/port-links"
        printf '%s %s\n' "$RVS_SUITE" "$RVS_VIRTME"
    } | key_of
}
RVS_ROOT=$RVS_CACHE/root-$(root_key)
export RVS_ROOT

# kernel_series [KIND]: the series of kernels that RVS is tested with; those of one kind.
kernel_series() { sed 's/#.*//' "$RVS_REPO/qemu/kernels.txt" | awk -v kind="${1:-}" 'NF && (kind == "" || $2 == kind) { print $1 }'; }

# debian_arch: what Debian calls the machine that ARCH= names. That of others than this one is built for
# with Debian's cross compiler.
debian_arch() {
    case ${ARCH:-x86} in
        x86 | x86_64 | amd64) echo amd64 ;;
        arm64 | aarch64) echo arm64 ;;
        *) die "ARCH=$ARCH is neither x86 nor arm64, for which RVS is built" ;;
    esac
}

# kernel_kind: what is fetched of the kernel that KERNEL= names: source or headers. RUST_ABI=own, with
# KERNEL=, needs no more than headers.
kernel_kind() {
    local series
    if [ "$(debian_arch)" != amd64 ]; then
        echo headers
        return
    fi
    for series in $(kernel_series); do
        case ${KERNEL:-} in
            '' | "$series" | "$series"[.-]*)
                if [ -n "${KERNEL:-}" ] && [ "${RUST_ABI:-}" = own ]; then
                    echo headers
                elif kernel_series source | grep -qxF "$series"; then
                    echo source
                else
                    echo headers
                fi
                return ;;
        esac
    done
    die "KERNEL=$KERNEL is of no series that RVS is tested with: $(kernel_series | paste -sd ' ')"
}

# The file naming the kernel that KERNEL= stands for, in this root file system where it has its source.
kernel_choice() {
    case $(kernel_kind) in
        source) echo "$RVS_ROOT/var/lib/rvs/kernel-${KERNEL:-default}" ;;
        headers) echo "$RVS_CACHE/kernels/choice-$(headers_of)$(other_arch)" ;;
    esac
}

# headers_of: what is looked for in the archive: KERNEL=, else the first series.
headers_of() { echo "${KERNEL:-$(kernel_series | head -n 1)}"; }

# other_arch: names what is of another machine than amd64.
other_arch() { debian_arch | sed -n '/amd64/!s/^/-/p'; }

# header_kernel: the folder of a kernel whose headers were fetched.
header_kernel() {
    echo "$RVS_CACHE/kernels/$(kernel_version)$(other_arch)-$(key_of <"$RVS_REPO/scripts/lib/headers-in-root")"
}

# cross_tools: the folder with the compiler for the machine that ARCH= names.
cross_tools() { echo "$RVS_CACHE/cross$(other_arch)-$(cat "$RVS_REPO/scripts/lib/cross-in-root" <(root_key) | key_of)"; }

# cross_root: the folder with what guests of that machine have.
cross_root() {
    echo "$RVS_CACHE/guest$(other_arch)-$(cat "$RVS_REPO/qemu/packages$(other_arch).txt" "$RVS_REPO/scripts/lib/arm64-in-root" | key_of)"
}

# cross_binds: what in-root is told to have both, one a line.
cross_binds() {
    local tree gnu=aarch64-linux-gnu rust=/usr/lib/rustlib/aarch64-unknown-linux-gnu
    tree=$(cross_tools)/tree
    printf '%s\n' --bind "$tree:/rvs/cross" --bind "$(cross_root):/rvs/arm64" \
        --bind "$tree/usr/$gnu:/usr/$gnu" --bind "$tree$rust:$rust"
}

# header_binds: what in-root is told to have its headers where they belong, one a line.
header_binds() {
    local tree place
    tree=$(header_kernel)/tree
    for place in "$tree"/usr/src/* "$tree"/usr/lib/linux-kbuild-*; do
        [ -L "$place" ] || printf '%s\n' --bind "$place:${place#"$tree"}"
    done
    [ -z "$(other_arch)" ] || cross_binds
}

# What is built of a kernel by one way to the kernel crate is kept apart from what is by the other.
abi_suffix() { echo "${RUST_ABI:+-$RUST_ABI}"; }
kernel_version() {
    cat "$(kernel_choice)" 2>/dev/null ||
        die "kernel ${KERNEL:-(newest supported)} is not prepared" "run: make setup"
}
