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

# The file naming the kernel that KERNEL= stands for in this root file system.
kernel_choice() { echo "$RVS_ROOT/var/lib/rvs/kernel-${KERNEL:-default}"; }
kernel_version() {
    cat "$(kernel_choice)" 2>/dev/null ||
        die "kernel ${KERNEL:-(newest supported)} is not prepared" "run: make setup"
}
