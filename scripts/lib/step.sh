# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Steps of a set-up: each has a log, a time, a stamp and a failure message.

STEP_T0=$SECONDS

# step STAMP KEY TITLE FUNCTION [ARGS]: runs FUNCTION unless the file STAMP
# holds KEY, which is written only after it succeeded. A kill at any point
# therefore repeats the step, and FUNCTION starts by removing its left-overs.
step() {
    local stamp=$1 key=$2 title=$3 rc=0 t0=$SECONDS log
    shift 3
    if [ "$(cat "$stamp" 2>/dev/null)" = "$key" ]; then return 0; fi
    mkdir -p "$RVS_CACHE/log" "$(dirname "$stamp")"
    log=$RVS_CACHE/log/$1.log
    printf '[%4ds] %s ...\n' $((SECONDS - STEP_T0)) "$title" >&2
    # In the background, because errexit is off inside a tested command; as a
    # group of its own, so that it can be ended as a whole.
    set -m
    (set -euo pipefail; "$@") >"$log" 2>&1 </dev/null &
    set +m
    trap 'kill -- -$! 2>/dev/null || true; exit 130' INT TERM HUP
    wait $! || rc=$?
    trap - INT TERM HUP
    if [ "$rc" -ne 0 ]; then
        tail -n 15 "$log" | sed 's/^/    | /' >&2
        die "'$title' failed (status $rc) after $((SECONDS - t0)) s" \
            "full log: $log" "$(hint_for "$1")" \
            "then run the same command again: finished steps are kept"
    fi
    mkdir -p "$(dirname "$stamp")"
    printf '%s\n' "$key" >"$stamp.tmp"
    mv "$stamp.tmp" "$stamp"
    printf '[%4ds] %s: done in %d s\n' \
        $((SECONDS - STEP_T0)) "$title" $((SECONDS - t0)) >&2
}

# hint_for FUNCTION: what usually mends a failed step.
hint_for() {
    case $1 in
        host_tools) echo "install it by hand: apt-get update && apt-get install mmdebstrap" ;;
        make_rootfs | install_virtme | fetch_kernel)
            echo "usually the network, a proxy or a full disk: check 'apt-get update' and 'df -h $RVS_CACHE'" ;;
        *) echo "usually a full disk (df -h $RVS_CACHE) or too little memory (2 GiB are needed)" ;;
    esac
}
