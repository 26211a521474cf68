# SPDX-License-Identifier: GPL-2.0
# What a developer types. Each target is one script; `make help` lists them.

RVS_CACHE ?= $(HOME)/.cache/rvs
export RVS_CACHE RUST_ABI KERNEL KDIR TIMEOUT CPUS MEMORY KVM VERBOSE DEBUG RVS_DELAYS

.DEFAULT_GOAL := help
.PHONY: help setup modules check-kernel tools vm test test-host test-vm test-long test-kernels test-clients test-debug test-races debug-kernel native-kernel check bench bench-native bench-engine bench-guard bench-shared bench-record bench-plots profile demo clean install uninstall dist deb test-install install-compat uninstall-compat

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## root file system, kernel and its metadata under $RVS_CACHE (KERNEL=7.2 selects)
	@scripts/setup

modules: $(if $(KDIR),,setup) ## the kernel modules, to build/ (KDIR=tree: against that kernel)
	@scripts/modules

check-kernel: $(if $(KDIR),,setup) ## what a kernel lacks for RVS (KDIR=tree, else the prepared one)
	@scripts/check-kernel $(KDIR)

tools: setup ## rvsadm
	@scripts/tools

vm: modules tools ## boot a guest and run CMD='...' as root (SHARE=dir becomes /mnt/share)
	@$(if $(CMD),,$(error say what to run: make vm CMD='uname -r'))scripts/vm $(if $(SHARE),--share '$(SHARE)') -- '$(subst ','\'',$(CMD))'

check: setup ## formatting, lints, docs, layers, generated code, stack frames
	@scripts/check

test-host: setup ## unit tests of the tools and of the engine, on the host
	@scripts/test host

test-vm: modules tools ## tests in a guest (T=name selects)
	@scripts/test vm $(if $(T),'$(T)')

test: modules tools ## everything: check, host tests, guest tests, bench-guard
	@scripts/test check host vm bench

test-long: modules tools ## 20,000 connections: over bad wires no address is lost; all go where ip_vs sends them; 100 MB in every mode; 50 unloads; failovers with keepalived, beside ip_vs; a kernel that is locked down; the smoke set on 6.12 and 7.2; test-clients; test-install
	@RVS_LONG=1 RVS_CONNECTIONS=20000 RVS_MEGABYTES=100 scripts/test vm 'no_address_lost or side_by_side or long_transfer or with_fprobes or ten_times or failover or behind_cards'
	@RVS_LOCKDOWN=1 scripts/test vm xdp_lockdown
	@scripts/test-kernels 6.12/own 7.2/own
	@scripts/test-clients
	@scripts/test-install

test-kernels: ## the modules on each kernel: do they build, load and pass a smoke set? writes build/kernels.md (KERNELS='6.12 7.2/own', ARCH=arm64)
	@scripts/test-kernels $(KERNELS)

test-clients: modules tools ## Docker in swarm mode and collectd from Debian, beside ip_vs (60 MB to fetch, once)
	@scripts/test-clients $(T)

debug-kernel: setup ## a kernel with KASAN, lockdep, kmemleak ... (13 min once); DEBUG=1 uses it
	@scripts/own-kernel debug

test-debug: debug-kernel tools ## guest tests on the debug kernel, 100 min with GUESTS=2 on two cores (T=name selects)
	@scripts/test-debug $(if $(T),'$(T)')

test-races: debug-kernel tools ## ten minutes of races with delays that make them likely, on the debug kernel
	@RVS_DELAYS=y RVS_STRESS_SECONDS=$${RVS_STRESS_SECONDS:-600} scripts/test-debug test_races

bench: modules tools ## instructions per packet, beside ip_vs; writes build/bench.json (CASES=...)
	@set -f; scripts/bench $(CASES)

native-kernel: setup ## the kernel of bench-native: User-Mode Linux (5 min once)
	@scripts/own-kernel native

bench-native: native-kernel tools ## time per packet, beside ip_vs; writes build/bench-native.json (CASES=...)
	@set -f; scripts/bench-native $(CASES)

bench-guard: modules tools ## does a packet cost more than recorded in bench/record.json?
	@scripts/bench-guard check

bench-shared: modules tools ## do two CPUs write to the same memory for packets of known flows?
	@scripts/bench-shared

bench-record: modules tools ## records what it costs now: a decision, to be explained in the commit
	@scripts/bench-guard record

bench-plots: setup ## docs/bench/*.svg from build/bench.json
	@scripts/in-root -- python3 -B bench/plot.py build/bench.json docs/bench

bench-engine: setup ## the engine on this host, in time
	@scripts/in-root --net -- cargo bench --quiet --locked --manifest-path userspace/Cargo.toml -p rvs-engine

profile: modules tools ## where the instructions of CASE=rvs/dr go; writes build/profile.txt
	@$(if $(CASE),,$(error say which case: make profile CASE=rvs/dr))scripts/profile '$(CASE)'

demo: modules tools ## the article's lab: who served how many requests
	@scripts/demo

install: ## rvsadm with manual, completions, units; the modules' source for DKMS (DESTDIR= PREFIX=)
	@scripts/install

uninstall: ## removes all of it; changed settings stay
	@scripts/install --uninstall

dist: setup ## build/dist: the tarball with all crates, reproducible, and what is in it
	@scripts/dist

deb: setup ## build/packages: Debian packages of it, which lintian has looked at
	@scripts/packages

test-install: setup ## packages on a clean Debian of their own: installed, booted, upgraded, other kernels, purged (15 min)
	@scripts/test-install

install-compat: ## a modprobe file: who asks for ip_vs gets RVS (DESTDIR=)
	@scripts/compat install

uninstall-compat: ## removes it
	@scripts/compat uninstall

clean: ## what was built here (the prepared kernel stays)
	@scripts/clean
