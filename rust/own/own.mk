# SPDX-License-Identifier: GPL-2.0
# The own way to what RVS uses of the kernel crate: crates that Kbuild knows nothing of. Included by
# Kbuild for RUST_ABI=own.
#
#   core               from rust-src, as the kernel builds it
#   compiler_builtins  what core names and nobody calls
#   rvs_own_macros     one macro, for the compiler
#   kernel             ours, rust/own/lib.rs
#
# All are linked into each of the modules, so that nothing but C is left to the loader.

rvs_own := $(obj)/rust/own
rvs_sysroot := $(shell $(RUSTC) --print sysroot 2>/dev/null)
rvs_core := $(rvs_sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs
rvs_rustc_minor := $(word 2,$(subst ., ,$(word 2,$(rvs_rustc))))
rvs_from = $(shell test 0$(rvs_rustc_minor) -ge $(1) && echo y)

$(if $(rvs_rustc),,$(error RVS needs rustc, 1.85 or later: Debian's package is rustc))
$(if $(call rvs_from,85),,$(error RVS needs rustc 1.85 or later, this is $(rvs_rustc)))
$(if $(wildcard $(rvs_core)),,$(error RVS needs the source of core of $(rvs_rustc) at $(rvs_core): Debian's package is rust-src))
$(if $(CONFIG_CFI_CLANG)$(CONFIG_CFI),$(error RUST_ABI=own is not for kernels with CFI: build against their Rust metadata, RUST_ABI=kernel))
$(if $(CONFIG_LTO_CLANG),$(error RUST_ABI=own is not for kernels with LTO: build against their Rust metadata, RUST_ABI=kernel))
$(if $(CONFIG_RANDSTRUCT),$(error RVS is not for kernels with CONFIG_RANDSTRUCT, whose structures only C knows))

# What rustc is told of the machine: on x86 as the kernel tells it.
rvs_target_x86 = $(abspath $(rvs_own)/target.json)
rvs_target_arm64 := aarch64-unknown-none-softfloat
rvs_target = $(rvs_target_$(SRCARCH))
$(if $(rvs_target),,$(error RUST_ABI=own is for x86 and arm64 so far, not for $(SRCARCH)))

# The kernel's flags, but for those that name things which are here only with CONFIG_RUST, that say what
# to check in its own code, or that depend on the rustc that it was configured with.
rvs_own_flags = $(filter-out --target=% --edition=% -Dwarnings -Coverflow-checks=% \
		-Cdebug-assertions=% -Zno-jump-tables -Cjump-tables=%,$(KBUILD_RUSTFLAGS)) \
	$(KBUILD_RUSTFLAGS_MODULE) --target=$(rvs_target) \
	-Coverflow-checks=y -Cdebug-assertions=n -Zunstable-options \
	$(if $(CONFIG_X86_KERNEL_IBT),$(if $(call rvs_from,93),-Cjump-tables=n,-Zno-jump-tables)) \
	@$(objtree)/include/generated/rustc_cfg --cfg=rvs_own --sysroot=/dev/null -L $(rvs_own)

# $(1): flags of the crate
rvs_own_rustc = RUSTC_BOOTSTRAP=1 OBJTREE=$(abspath $(objtree)) $(RUSTC) $(rvs_own_flags) $(1) \
	--crate-type rlib --emit=dep-info=$(depfile) --emit=obj=$@

quiet_cmd_rvs_target = GEN     $(quiet_modtag) $@
      cmd_rvs_target = $(CONFIG_SHELL) $< $(rvs_rustc_minor) \
	$(CONFIG_MITIGATION_RETPOLINE)$(CONFIG_RETPOLINE),$(CONFIG_MITIGATION_SLS)$(CONFIG_SLS) >$@

$(rvs_own)/target.json: $(src)/rust/own/target.sh FORCE
	$(call if_changed,rvs_target)

# Floating point and 128-bit division that core has and nobody calls.
rvs_intrinsics := __addsf3 __eqsf2 __extendsfdf2 __gesf2 __lesf2 __ltsf2 __mulsf3 __nesf2 \
	__truncdfsf2 __unordsf2 __adddf3 __eqdf2 __ledf2 __ltdf2 __muldf3 __unorddf2 \
	__ashlti3 __ashrti3 __lshrti3 __muloti4 __multi3 __udivmodti4 __udivti3 __umodti3

quiet_cmd_rvs_core = RUSTC L $(quiet_modtag) $@
      cmd_rvs_core = $(call rvs_own_rustc,--edition=$(if $(call rvs_from,87),2024,2021) \
		--cfg=no_fp_fmt_parse --cap-lints=allow --crate-name core) \
	--emit=metadata=$(rvs_own)/libcore.rmeta $(rvs_core) ; \
	$(OBJCOPY) $(foreach name,$(rvs_intrinsics),--redefine-sym $(name)=__rust$(name)) $@ \
	$(cmd_objtool)

$(rvs_own)/core.o: $(rvs_core) $(rvs_own)/target.json FORCE
	+$(call if_changed_dep,rvs_core)

quiet_cmd_rvs_builtins = RUSTC L $(quiet_modtag) $@
      cmd_rvs_builtins = $(call rvs_own_rustc,--edition=2021 --crate-name compiler_builtins) \
	--emit=metadata=$(rvs_own)/libcompiler_builtins.rmeta $(abspath $<) $(cmd_objtool)

$(rvs_own)/compiler_builtins.o: $(src)/rust/own/compiler_builtins.rs $(rvs_own)/core.o FORCE
	+$(call if_changed_dep,rvs_builtins)

quiet_cmd_rvs_macros = RUSTC P $(quiet_modtag) $@
      cmd_rvs_macros = $(RUSTC) --edition=2021 -O -Cstrip=debuginfo -Clinker=$(firstword $(HOSTCC)) \
	--crate-type proc-macro --crate-name rvs_own_macros --emit=dep-info=$(depfile) \
	--emit=link=$@ $(abspath $<)

$(rvs_own)/librvs_own_macros.so: $(src)/rust/own/macros.rs FORCE
	+$(call if_changed_dep,rvs_macros)

quiet_cmd_rvs_own_bindgen = BINDGEN $(quiet_modtag) $@
      cmd_rvs_own_bindgen = $(BINDGEN) $(abspath $<) --rust-target 1.85 --use-core \
	--with-derive-default --ctypes-prefix ffi --no-debug '.*' --no-doc-comments \
	--enable-function-attribute-detection --blocklist-type '__kernel_(s?size|ptrdiff)_t' \
	--allowlist-function 'rvs_own_.*|rb_(next|prev|erase|insert_color)' \
	--allowlist-type 'rb_(node|root)|mutex|gfp_t' --opaque-type mutex \
	--allowlist-var 'E[A-Z0-9]+|RUST_CONST_HELPER_.*' -o $@ -- \
	$(rvs_bindgen_cflags) -fno-builtin -D__BINDGEN__ -DMODULE ; \
	sed -Ei 's/pub const RUST_CONST_HELPER_([a-zA-Z0-9_]*)/pub const \1/g' $@

$(obj)/rust/bindings/own_generated.rs: $(src)/rust/own/bindings_helper.h FORCE
	$(call if_changed_dep,rvs_own_bindgen)

quiet_cmd_rvs_kernel = RUSTC L $(quiet_modtag) $@
      cmd_rvs_kernel = $(call rvs_own_rustc,--edition=2021 --crate-name kernel \
		--extern rvs_own_macros=$(rvs_own)/librvs_own_macros.so) \
	--emit=metadata=$(rvs_own)/libkernel.rmeta $(abspath $<) $(cmd_objtool)

$(rvs_own)/kernel.o: $(src)/rust/own/lib.rs $(rvs_own)/compiler_builtins.o \
		$(rvs_own)/librvs_own_macros.so $(obj)/rust/bindings/own_generated.rs FORCE
	+$(call if_changed_dep,rvs_kernel)

# The modules' own crates, in the place of Kbuild's rule for Rust.
quiet_cmd_rvs_main = RUSTC $(quiet_modtag) $@
      cmd_rvs_main = $(call rvs_own_rustc,--edition=2021 -Zcrate-attr=no_std --extern kernel \
		$(rustflags-y) --crate-name $(basename $(notdir $@))) $(abspath $<) $(cmd_objtool)

$(obj)/rust/rvs_main.o: $(src)/rust/rvs_main.rs $(rvs_own)/kernel.o FORCE
	+$(call if_changed_dep,rvs_main)
$(obj)/toa/toa_main.o: $(src)/toa/toa_main.rs $(rvs_own)/kernel.o FORCE
	+$(call if_changed_dep,rvs_main)

rvs-y += $(addprefix rust/own/,kernel.o core.o compiler_builtins.o helpers.o)
toa-y += $(addprefix toa/own_,kernel.o core.o compiler_builtins.o helpers.o)
ccflags-y += -I$(src)/rust/own

# An object belongs to one module.
quiet_cmd_rvs_copy = COPY    $(quiet_modtag) $@
      cmd_rvs_copy = cp $< $@
$(foreach name,kernel core compiler_builtins,$(obj)/toa/own_$(name).o): \
		$(obj)/toa/own_%.o: $(rvs_own)/%.o FORCE
	$(call if_changed,rvs_copy)

targets += rust/own/target.json rust/own/librvs_own_macros.so rust/bindings/own_generated.rs
clean-files += rust/own/target.json rust/own/librvs_own_macros.so rust/own/libcore.rmeta \
	rust/own/libcompiler_builtins.rmeta rust/own/libkernel.rmeta rust/bindings/own_generated.rs
