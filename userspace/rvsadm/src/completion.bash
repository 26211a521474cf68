# SPDX-License-Identifier: GPL-2.0
# Completions of rvsadm's command lines for bash: services, dests and namespaces as they are.
# bash breaks words at colons and our names have some, so words are taken from the line, and what is
# before the last break is there already.
_rvsadm() {
    local line=${COMP_LINE:0:COMP_POINT} words word begun
    IFS=$' \t\n' read -ra words <<<"$line"
    case $line in *[[:space:]]) words+=('') ;; esac
    word=${words[-1]}
    begun=${word%"${word##*[:=]}"}
    case $COMP_WORDBREAKS in *:*) ;; *) case $begun in *:) begun= ;; esac ;; esac
    local IFS=$'\013'
    COMPREPLY=($(_CLAP_IFS=$IFS _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) _CLAP_COMPLETE_COMP_TYPE=${COMP_TYPE:-9} \
        _CLAP_COMPLETE_SPACE=true COMPLETE=bash "$1" -- "${words[@]}" 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]#"$begun"}")
}
complete -o bashdefault -F _rvsadm rvsadm
