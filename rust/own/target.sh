#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What rustc is told of an x86 machine, as the kernel tells it.
#
# usage: target.sh RUSTC-MINOR RETPOLINE,SLS     (y or nothing each)
set -eu
minor=$1 retpoline=${2%,*} sls=${2#*,}
features='-mmx,+soft-float'
if [ "$retpoline" = y ]; then
    features="$features,+retpoline-external-thunk,+retpoline-indirect-branches,+retpoline-indirect-calls"
fi
if [ "$sls" = y ]; then features="$features,+harden-sls-ijmp,+harden-sls-ret"; fi
width='"64"'
[ "$minor" -lt 91 ] || width=64
abi=''
[ "$minor" -lt 86 ] || abi='"rustc-abi": "x86-softfloat",'
[ "$minor" -lt 98 ] || abi='"rustc-abi": "softfloat",'
cat <<JSON
{
    "arch": "x86_64", $abi
    "data-layout": "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128",
    "features": "$features",
    "llvm-target": "x86_64-linux-gnu",
    "supported-sanitizers": ["kcfi", "kernel-address"],
    "target-pointer-width": $width,
    "emit-debug-gdb-scripts": false,
    "frame-pointer": "may-omit",
    "stack-probes": {"kind": "none"}
}
JSON
