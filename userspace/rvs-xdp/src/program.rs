// SPDX-License-Identifier: GPL-2.0

//! The program: `include/uapi/linux/bpf.h`, RFC 9669.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::btf::Base;
use crate::{sys, Error};

/// The function of the module that programs call.
pub const FUNCTION: &str = "rvs_xdp";

/// The name that the program is listed by.
pub const NAME: &str = "rvs";

/// The kernel's own types.
const KERNEL: &str = "/sys/kernel/btf/vmlinux";

const MODULE: &str = "rvs";

// Parts of instructions' codes.
const ALU: u8 = 0x04;
const ALU64: u8 = 0x07;
const JMP: u8 = 0x05;
const JMP32: u8 = 0x06;
const MOV: u8 = 0xb0;
const NEG: u8 = 0x80;
const CALL: u8 = 0x80;
const EXIT: u8 = 0x90;
const SIGNED_GREATER: u8 = 0x60;
/// The operand is a register, not a number.
const REGISTER: u8 = 0x08;

/// What a call calls: a function that is found by its type.
const BY_TYPE: u8 = 2;
/// `bpf_redirect`.
const REDIRECT: i32 = 23;

/// One instruction.
const fn instruction(code: u8, (dst, src): (u8, u8), offset: i16, number: i32) -> u64 {
    let [o0, o1] = offset.to_ne_bytes();
    let [n0, n1, n2, n3] = number.to_ne_bytes();
    // Its registers share a byte, the destination's in the low half where the machine is little-endian.
    let registers = if cfg!(target_endian = "little") {
        dst | (src << 4)
    } else {
        src | (dst << 4)
    };
    u64::from_ne_bytes([code, registers, o0, o1, n0, n1, n2, n3])
}

/// The instructions, with the number of the module's function; the fd of its BTF is the second of those
/// that are given along.
fn instructions(function: u32, generic: bool) -> [u64; 9] {
    let function = i32::try_from(function).unwrap_or(i32::MAX);
    [
        instruction(ALU64 | MOV, (2, 0), 0, i32::from(generic)),
        instruction(JMP | CALL, (0, BY_TYPE), 1, function),
        // The index of a device: redirect to it. Else less an action.
        instruction(JMP32 | SIGNED_GREATER, (0, 0), 2, 0),
        instruction(ALU | NEG, (0, 0), 0, 0),
        instruction(JMP | EXIT, (0, 0), 0, 0),
        instruction(ALU | MOV | REGISTER, (1, 0), 0, 0),
        instruction(ALU64 | MOV, (2, 0), 0, 0),
        instruction(JMP | CALL, (0, 0), 0, REDIRECT),
        instruction(JMP | EXIT, (0, 0), 0, 0),
    ]
}

/// Loads it, for the stack's copy of drivers (`generic`) or for drivers. It goes when nothing holds it.
///
/// # Errors
///
/// The module is not loaded or has no such function, or the kernel refuses it.
pub fn load(generic: bool) -> Result<OwnedFd, Error> {
    let module = sys::module_btf(MODULE)?.ok_or(Error::NoBtf)?;
    let kernel = fs::read(KERNEL).map_err(Error::kernel("read the kernel's types (BTF)"))?;
    let function = Base::read(&kernel)?.function(&module.bytes, FUNCTION)?;
    let function = function.ok_or(Error::NoFunction(FUNCTION))?;
    let fds = [0, module.fd.as_raw_fd()];
    sys::load(NAME, &instructions(function, generic), &fds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn instructions_are_as_the_kernel_reads_them() {
        let bytes: Vec<_> = instructions(0x0102, true)
            .iter()
            .flat_map(|one| one.to_ne_bytes())
            .collect();
        let expected = [
            [0xb7, 2, 0, 0, 1, 0, 0, 0],
            [0x85, 0x20, 1, 0, 2, 1, 0, 0],
            [0x66, 0, 2, 0, 0, 0, 0, 0],
            [0x84, 0, 0, 0, 0, 0, 0, 0],
            [0x95, 0, 0, 0, 0, 0, 0, 0],
            [0xbc, 1, 0, 0, 0, 0, 0, 0],
            [0xb7, 2, 0, 0, 0, 0, 0, 0],
            [0x85, 0, 0, 0, 23, 0, 0, 0],
            [0x95, 0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(bytes, expected.concat());
    }
}
