# SPDX-License-Identifier: GPL-2.0
"""Programs for XDP that do nothing but say what becomes of a frame: floors of those that do more."""

import contextlib
import ctypes
import os
import struct

# Of include/uapi/linux/bpf.h.
PROG_LOAD, LINK_CREATE = 5, 28
TYPE_XDP, ATTACHED_TO_XDP = 6, 37
NATIVE = 1 << 2
DROP, TX = 1, 3
MOV, CALL, EXIT, REDIRECT = 0xB7, 0x85, 0x95, 23

SYSCALL = {"x86_64": 321, "aarch64": 280}


def _bpf(command, attributes):
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attributes, 152)
    got = libc.syscall(SYSCALL[os.uname().machine], command, buffer, len(buffer))
    if got < 0:
        raise OSError(ctypes.get_errno(), f"bpf({command}): {os.strerror(ctypes.get_errno())}")
    return got


def _move(register, number):
    return struct.pack("<BBhi", MOV, register, 0, number)


_END = struct.pack("<BBhi", EXIT, 0, 0, 0)


def returns(action):
    """All frames meet with the same."""
    return _move(0, action) + _END


def redirects(index):
    """All leave by the device of that index."""
    return _move(1, index) + _move(2, 0) + struct.pack("<BBhi", CALL, 0, 0, REDIRECT) + _END


@contextlib.contextmanager
def attached(index, instructions):
    """A device of this namespace runs the program meanwhile."""
    code, licence = ctypes.create_string_buffer(instructions), ctypes.create_string_buffer(b"GPL")
    program = _bpf(PROG_LOAD, struct.pack("<IIQQ", TYPE_XDP, len(instructions) // 8, ctypes.addressof(code),
                                          ctypes.addressof(licence)))
    link = _bpf(LINK_CREATE, struct.pack("<IIII", program, index, ATTACHED_TO_XDP, NATIVE))
    try:
        yield
    finally:
        os.close(link)
        os.close(program)
