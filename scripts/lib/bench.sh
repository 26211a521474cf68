# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the bench has that is compiled. For sourcing after common.sh.

. "$RVS_REPO/scripts/lib/own-kernels.sh"

# shellcheck disable=SC2034  # for those who source it
BENCH_MODULE=$RVS_REPO/build/bench-module/$(guest_release)$(abi_suffix)/rvs_bench.ko
BENCH_TOOLS=$RVS_REPO/build/bench-tools

build_bench_module() {
    RVS_SOURCE=bench/module RVS_KBUILD=build/bench-module scripts/modules >/dev/null
}

# compile_bench NAME SOURCE [OPTION]...
compile_bench() {
    mkdir -p "$BENCH_TOOLS"
    scripts/in-root -- gcc -O2 -Wall -Werror -D_GNU_SOURCE "${@:3}" -o "$BENCH_TOOLS/$1" "bench/tools/$2"
}

# build_plugin NAME: one for QEMU.
build_plugin() {
    compile_bench "$1.so" "$1.c" -shared -fPIC -fvisibility=hidden
}
