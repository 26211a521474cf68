# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Packages of another machine. Sourced by what runs inside the root file system.

# know_packages ARCH: from here on apt knows those of that machine too, for another in lists of their own.
know_packages() {
    local own
    own=$(dpkg --print-architecture)
    if [ "$1" != "$own" ]; then
        mkdir -p /tmp/apt/lists/partial /tmp/apt/cache/archives/partial
        cat >/tmp/apt/conf <<CONF
APT::Architectures { "$own"; "$1"; };
Dir::State::lists "/tmp/apt/lists";
Dir::Cache "/tmp/apt/cache";
CONF
        export APT_CONFIG=/tmp/apt/conf
    fi
    apt-get update >&2
}
