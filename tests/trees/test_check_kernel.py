# SPDX-License-Identifier: GPL-2.0
"""What scripts/check-kernel says of kernel build trees: these are made up, as are the tools beside them."""

import pathlib
import re
import shutil
import subprocess

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
RUSTC = "rustc 1.85.1 (4eb161250 2025-03-15)"
REAL = "awk basename bash cat cut dirname env grep id paste readlink sed sha256sum test tr".split()

CONFIG = {
    "64BIT": "y", "MODULES": "y", "NET_NS": "y", "INET": "y", "NETFILTER": "y", "FPROBE": "y",
    "RUST": "y", "RUSTC_VERSION_TEXT": f'"{RUSTC}"', "CC_IS_GCC": "y",
    "CC_VERSION_TEXT": '"x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0"',
    "DEBUG_INFO_BTF": "y", "DEBUG_INFO_BTF_MODULES": "y", "PAHOLE_VERSION": "130",
    "MODULE_SIG_KEY": '"certs/signing_key.pem"', "MODULE_SIG_HASH": '"sha256"',
}
TOOLS = {"rustc": RUSTC, "bindgen": "bindgen 0.71.1", "pahole": "v1.30",
         "x86_64-linux-gnu-gcc-14": "gcc 14.2.0"}


class Tree:
    """A kernel build tree with all that RVS wants, and tools."""

    def __init__(self, folder):
        self.kdir, self.bin, self.folder = folder / "build", folder / "bin", folder
        self.config, self.tools = dict(CONFIG), dict(TOOLS)
        for name in ("rust/libkernel.rmeta", "rust/libmacros.so", "vmlinux", "Module.symvers",
                     "scripts/mod/modpost", "include/generated/autoconf.h", "include/config/auto.conf"):
            self.put(name)
        (self.kdir / "scripts/mod/modpost").chmod(0o755)
        self.put("include/config/kernel.release", "7.3.4+deb13-amd64\n")
        self.put("Makefile", "# all of it\n")
        core = folder / "sysroot/lib/rustlib/src/rust/library/core/src/lib.rs"
        core.parent.mkdir(parents=True)
        core.touch()

    def put(self, name, text="x\n"):
        """A file of the tree."""
        path = self.kdir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def remove(self, name):
        """Whatever it is."""
        path = self.kdir / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def check(self, *options, abi=None):
        """What is said: lines of both outputs, and whether all is well."""
        self.put(".config", "".join(f"CONFIG_{k}={v}\n" for k, v in self.config.items()))
        self.bin.mkdir()
        for tool in REAL:
            (self.bin / tool).symlink_to(shutil.which(tool))
        for tool, version in self.tools.items():
            script = f'#!/bin/bash\n[ "$1" != --print ] || {{ echo {self.folder}/sysroot; exit; }}\necho "{version}"\n'
            (self.bin / tool).write_text(script, encoding="utf-8")
            (self.bin / tool).chmod(0o755)
        env = {"PATH": str(self.bin), "HOME": str(self.folder)} | ({"RUST_ABI": abi} if abi else {})
        done = subprocess.run([REPO / "scripts/check-kernel", *options, self.kdir], env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.stdout, done.returncode == 0


@pytest.fixture(name="tree")
def _tree(tmp_path):
    return Tree(tmp_path)


def no_metadata(tree):
    """As Debian's header packages."""
    tree.remove("rust")


def another_rustc(tree):
    """As of another distribution."""
    tree.tools["rustc"] = "rustc 1.97.1 (abc 2026-07-01)"


def no_rust(tree):
    """As 6.12 of Debian."""
    del tree.config["RUST"], tree.config["RUSTC_VERSION_TEXT"]


def test_nothing_is_lacking(tree):
    """And every line says ok."""
    said, well = tree.check()
    assert well
    assert {line.split()[0] for line in said.splitlines()[1:]} == {"ok"}, said
    assert "RUST_ABI=kernel" in said
    assert "7.3.4+deb13-amd64 is of a supported series" in said


@pytest.mark.parametrize("change, why", [
    (no_metadata, "without the metadata of the kernel's Rust crates"),
    (another_rustc, f"the kernel was built with '{RUSTC}', this is 'rustc 1.97.1 (abc 2026-07-01)'"),
    (no_rust, "no CONFIG_RUST"),
])
def test_where_the_kernel_crate_cannot_be_used_it_is_ours(tree, change, why):
    """Which is no fault, unless the kernel's was asked for."""
    change(tree)
    said, well = tree.check()
    assert well, said
    assert re.search(re.escape(why) + r".*\(RUST_ABI=own\)", said)


@pytest.mark.parametrize("change, mend", [
    (no_metadata, "install them"), (another_rustc, "install the kernel's"), (no_rust, "none can be had"),
])
def test_the_kernel_crate_was_asked_for_and_is_not_there(tree, change, mend):
    """One line, with what to do."""
    change(tree)
    said, well = tree.check("--quiet", abi="kernel")
    assert not well
    assert re.match(rf"  LACKS  what RUST_ABI=kernel takes, as .*: {mend}.* build with RUST_ABI=own\n", said)


def config(**options):
    """A change of the configuration; None: without it."""
    def change(tree):
        tree.config |= options
        tree.config = {k: v for k, v in tree.config.items() if v is not None}
    return change


def tools(**versions):
    """Other tools; None: without it."""
    def change(tree):
        tree.tools |= {k.replace("_", "-"): v for k, v in versions.items()}
        tree.tools = {k: v for k, v in tree.tools.items() if v is not None}
    return change


def without(*names):
    """Files that are not there."""
    def change(tree):
        for name in names:
            tree.remove(name)
    return change


def common_is_missing(tree):
    """As with the flavour's package of Debian alone."""
    tree.put("Makefile", "include /usr/src/linux-headers-9.9.9-common/Makefile\n")


def tools_are_missing(tree):
    """As without the package of the build's tools."""
    tree.remove("scripts")
    (tree.kdir / "scripts").symlink_to("../../lib/linux-kbuild-9.9.9/scripts")


def all_of(*changes):
    """One after the other."""
    def change(tree):
        for each in changes:
            each(tree)
    return change


def no_gcc(tree):
    """No compiler at all."""
    del tree.tools["x86_64-linux-gnu-gcc-14"]


def no_core(tree):
    """rustc without its source."""
    no_rust(tree)
    shutil.rmtree(tree.folder / "sysroot")


LACKS = {
    "rustc": (tools(rustc=None), r"rustc: install 1.85 or later \(Debian: rustc and rust-src\), or .*1.85.1.*"),
    "old rustc": (all_of(no_rust, tools(rustc="rustc 1.63.0 (x)")), r"rustc 1.85 or later, this is 'rustc 1.63.0 \(x\)': install it .*"),
    "core": (no_core, r"the source of core, .*/core/src/lib.rs: install rust-src, of the same version as rustc"),
    "bindgen": (tools(bindgen=None), r"bindgen: install it \(Debian: bindgen\), or: cargo install bindgen-cli"),
    "gcc": (no_gcc, r"x86_64-linux-gnu-gcc-14, which built this kernel: install it \(Debian: gcc-14\)"),
    "clang": (all_of(no_gcc, config(CC_IS_GCC=None, CC_IS_CLANG="y", CC_VERSION_TEXT='"Debian clang version 19"')),
              r"clang, which built this kernel: install it \(Debian: clang\)"),
    "CFI": (all_of(no_metadata, config(CFI="y")),
            r"RVS's own Rust for a kernel with CONFIG_CFI: install the rustc that built the kernel \(rustc 1.85.1.*\) and the metadata of its crates"),
    "CFI of old": (all_of(no_rust, config(CFI_CLANG="y")), r"RVS's own Rust for a kernel with CONFIG_CFI_CLANG: install .*"),
    "LTO": (all_of(another_rustc, config(LTO_CLANG="y")), r"RVS's own Rust for a kernel with CONFIG_LTO_CLANG: install .*"),
    "RANDSTRUCT": (all_of(no_rust, config(RANDSTRUCT="y")), r"a kernel without CONFIG_RANDSTRUCT, .*: take another"),
    "MODVERSIONS": (config(MODVERSIONS="y"), r"CONFIG_EXTENDED_MODVERSIONS, .*: build with RUST_ABI=own"),
    "netfilter": (config(NETFILTER=None), r"CONFIG_NETFILTER: the hooks that see packets; this takes a kernel that has it"),
    "32 bits": (config(**{"64BIT": None}), r"CONFIG_64BIT: .*; this takes a kernel that has it"),
    "common part": (common_is_missing, r"/usr/src/linux-headers-9.9.9-common/Makefile, .*: install the package linux-headers-9.9.9-common"),
    "tools of the build": (tools_are_missing, r".*/scripts, which leads nowhere: install the package linux-kbuild-9.9.9"),
    "modpost": (without("scripts/mod/modpost"), r".*/scripts/mod/modpost: run there: make modules_prepare .*"),
    "generated headers": (without("include/generated"), r".*/include/generated/autoconf.h: install the header package again, or .*"),
    "symbols": (without("Module.symvers"), r".*/Module.symvers: install the header package again, or copy it .*"),
}


@pytest.mark.parametrize("change, line", LACKS.values(), ids=LACKS.keys())
def test_what_is_lacking_is_said_in_one_line(tree, change, line):
    """With what to install or do."""
    change(tree)
    said, well = tree.check("--quiet")
    assert not well
    assert re.fullmatch(rf"  LACKS  {line}\nerror: this kernel lacks 1 thing\(s\), see above\n", said), said


def test_a_kernel_with_cfi_is_well_with_its_own_crate(tree):
    """So are the others that ours is not for."""
    config(CFI="y", LTO_CLANG="y")(tree)
    said, well = tree.check()
    assert well, said


@pytest.mark.parametrize("gone, said_of_it", [
    ("Makefile", "error: .* is no kernel build tree: install the kernel's header package; KDIR is usually .*"),
    ("all of it", "error: .* is no kernel build tree: install .*"),
])
def test_no_tree_at_all(tree, gone, said_of_it):
    """One line, and no more."""
    if gone == "Makefile":
        tree.remove(gone)
    else:
        tree.kdir = tree.folder / "elsewhere"
        tree.kdir.mkdir()
    said, well = tree.check()
    assert not well
    assert re.fullmatch(said_of_it + "\n", said), said


NOTES = {
    "no pahole": (tools(pahole=None), r"no pahole \(Debian: dwarves\): the modules come without BTF, which they do not need"),
    "old pahole": (tools(pahole="v1.24"), r"pahole 1.24 is older than the kernel's, 1.30 \(Debian: dwarves\): the modules come without BTF.*"),
    "no BTF": (config(DEBUG_INFO_BTF=None), r"this kernel has no BTF \(CONFIG_DEBUG_INFO_BTF\): the modules come without.*"),
    "no vmlinux": (without("vmlinux"), r"no vmlinux in .*: the modules come without BTF.*"),
    "no key": (config(MODULE_SIG_FORCE="y"),
               r"CONFIG_MODULE_SIG_FORCE, and no key here \(certs/signing_key.pem\): sign the modules with .*: scripts/sign-file sha256 KEY CERTIFICATE rvs.ko"),
    "no probes": (config(FPROBE=None), r"neither CONFIG_FPROBE nor CONFIG_KRETPROBES: the receiver, toa, will not load"),
}


@pytest.mark.parametrize("change, line", NOTES.values(), ids=NOTES.keys())
def test_what_can_be_done_without_is_noted(tree, change, line):
    """In one line, and all is well."""
    change(tree)
    said, well = tree.check()
    assert well, said
    notes = [text for text in said.splitlines() if text.startswith("  note")]
    assert len(notes) == 1
    assert re.fullmatch(rf"  note   {line}", notes[0]), said


def test_a_key_is_there(tree):
    """Then signing is make's."""
    config(MODULE_SIG_FORCE="y")(tree)
    tree.put("certs/signing_key.pem")
    said, well = tree.check()
    assert well
    assert "make modules_install, which signs them" in said


def series():
    """The supported ones: qemu/kernels.txt."""
    lines = (REPO / "qemu/kernels.txt").read_text(encoding="utf-8").splitlines()
    return {line.split()[0] for line in lines if line and not line.startswith("#")}


@pytest.mark.parametrize("release", sorted(f"{each}.99-generic" for each in series()) + ["5.15.1", "7.30.1", "9.9.9"])
def test_supported_series_are_those_of_the_list(tree, release):
    """check-kernel says the same of a series as the list that tests go by."""
    tree.put("include/config/kernel.release", release + "\n")
    said, well = tree.check()
    assert well, said
    if ".".join(release.split(".")[:2]) in series():
        assert f"{release} is of a supported series" in said
    else:
        assert re.search(rf"note   {re.escape(release)} is not of a series RVS is tested with: .*6.12", said)


def test_the_readme_says_so_too():
    """Its table is of these series, and no other."""
    text = (REPO / "README.md").read_text(encoding="utf-8")
    part = text[text.index("## Supported kernels"):text.index("## Limits")]
    assert set(re.findall(r"^\| ([0-9]+\.[0-9]+)\.", part, re.M)) == series()
    assert set(re.findall(r"(?<![0-9.])[0-9]+\.[0-9]+(?![0-9.])", part.split(";")[0])) == series()
