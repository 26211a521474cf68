// SPDX-License-Identifier: GPL-2.0

//! bpf(2), and what ethtool(8) asks: the calls themselves.

use std::ffi::{c_long, CString};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use crate::Error;

mod tcx;

pub use tcx::programs;

const PROG_LOAD: c_long = 5;
const OBJ_PIN: c_long = 6;
const OBJ_GET: c_long = 7;
const OBJ_GET_INFO_BY_FD: c_long = 15;
const BTF_GET_FD_BY_ID: c_long = 19;
const BTF_GET_NEXT_ID: c_long = 23;
const LINK_CREATE: c_long = 28;

const PROGRAM_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
/// Frames in several pieces may come: the module gives them to the stack.
const HAS_FRAGS: u32 = 1 << 5;

/// Modules whose types are looked through at most.
const MOST: u32 = 100_000;
/// Bytes of a module's BTF at most.
const BTF_MAX: u32 = 64 << 20;
const LOG_LEN: usize = 16 << 10;

/// A part of `union bpf_attr`, whose other bytes are 0.
///
/// # Safety
///
/// It is `repr(C)`, without padding, and laid out as the union's part for its command; what its
/// addresses lead to is as long as it says and outlives the call.
unsafe trait Attr {}

/// Asks the kernel; the number that it answers with.
fn bpf<A: Attr>(command: c_long, attr: &mut A) -> io::Result<c_long> {
    // SAFETY: The attributes are what the command takes, by the trait's contract, and as long as said.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attr),
            mem::size_of::<A>() as c_long,
        )
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(answer)
}

/// As [`bpf`], of commands that answer with a new fd.
fn bpf_fd<A: Attr>(command: c_long, attr: &mut A) -> io::Result<OwnedFd> {
    let fd = RawFd::try_from(bpf(command, attr)?).map_err(io::Error::other)?;
    // SAFETY: The kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// As attributes have it; it is not negative.
fn number(fd: &OwnedFd) -> u32 {
    fd.as_raw_fd().unsigned_abs()
}

fn address<T: ?Sized>(of: &T) -> u64 {
    std::ptr::from_ref(of).cast::<u8>().addr() as u64
}

#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    device: u32,
    attach_type: u32,
    btf_fd: u32,
    func_info_size: u32,
    func_info: u64,
    func_info_count: u32,
    line_info_size: u32,
    line_info: u64,
    line_info_count: u32,
    attach_btf_id: u32,
    attach_fd: u32,
    relocations: u32,
    fds: u64,
}
// SAFETY: As BPF_PROG_LOAD has it, up to `fd_array`.
unsafe impl Attr for Load {}

/// Loads a program for XDP of that name; `fds` are those that its instructions name by their place.
pub fn load(name: &str, instructions: &[u64], fds: &[RawFd]) -> Result<OwnedFd, Error> {
    let mut log = vec![0u8; LOG_LEN];
    let load = |log: &mut [u8]| {
        let mut named = [0; 16];
        for (to, from) in named.iter_mut().take(15).zip(name.bytes()) {
            *to = from;
        }
        bpf_fd(
            PROG_LOAD,
            &mut Load {
                kind: PROGRAM_XDP,
                count: instructions.len() as u32,
                instructions: address(instructions),
                license: address(c"GPL".to_bytes_with_nul()),
                log_level: u32::from(!log.is_empty()),
                log_size: log.len() as u32,
                log: if log.is_empty() { 0 } else { address(log) },
                kernel_version: 0,
                flags: HAS_FRAGS,
                name: named,
                device: 0,
                attach_type: ATTACH_XDP,
                btf_fd: 0,
                func_info_size: 0,
                func_info: 0,
                func_info_count: 0,
                line_info_size: 0,
                line_info: 0,
                line_info_count: 0,
                attach_btf_id: 0,
                attach_fd: 0,
                relocations: 0,
                fds: address(fds),
            },
        )
    };
    load(&mut []).or_else(|error| {
        // Once more, for what the verifier has to say.
        load(&mut log).map_err(|_| Error::Program {
            error,
            log: last_lines(&log),
        })
    })
}

/// What is of use of the verifier's log: its end.
fn last_lines(log: &[u8]) -> String {
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    let text = String::from_utf8_lossy(log.get(..end).unwrap_or_default()).into_owned();
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    // The last counts instructions.
    let lines = match lines.split_last() {
        Some((last, others)) if last.starts_with("processed ") => others,
        _ => &lines,
    };
    let kept = lines.len().saturating_sub(2);
    lines.get(kept..).unwrap_or_default().join("; ")
}

#[repr(C)]
struct Object {
    path: u64,
    fd: u32,
    flags: u32,
}
// SAFETY: As BPF_OBJ_PIN and BPF_OBJ_GET have it.
unsafe impl Attr for Object {}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(io::Error::other)
}

/// Has a file hold what `fd` is of.
pub fn pin(fd: &OwnedFd, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let mut object = Object {
        path: address(path.as_bytes_with_nul()),
        fd: number(fd),
        flags: 0,
    };
    bpf(OBJ_PIN, &mut object).map(drop)
}

/// What such a file holds.
pub fn pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let mut object = Object {
        path: address(path.as_bytes_with_nul()),
        fd: 0,
        flags: 0,
    };
    bpf_fd(OBJ_GET, &mut object)
}

#[repr(C)]
struct Info {
    fd: u32,
    len: u32,
    info: u64,
}
// SAFETY: As BPF_OBJ_GET_INFO_BY_FD has it.
unsafe impl Attr for Info {}

#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    padding: u32,
    device: u32,
    more: [u32; 11],
}

/// The index of the device that a link is on, 0 when that is gone; and the number of its program.
pub fn link_info(fd: &OwnedFd) -> io::Result<(u32, u32)> {
    let mut about = LinkInfo::default();
    let mut info = Info {
        fd: number(fd),
        len: mem::size_of::<LinkInfo>() as u32,
        info: std::ptr::from_mut(&mut about).addr() as u64,
    };
    bpf(OBJ_GET_INFO_BY_FD, &mut info)?;
    Ok((about.device, about.program))
}

#[repr(C)]
struct Link {
    program: u32,
    device: u32,
    attach_type: u32,
    flags: u32,
}
// SAFETY: As BPF_LINK_CREATE has it for XDP.
unsafe impl Attr for Link {}

/// Has a device run a program as long as the link is held. `flags` are those of `XDP_FLAGS_…`.
pub fn attach(program: &OwnedFd, device: u32, flags: u32) -> io::Result<OwnedFd> {
    let mut link = Link {
        program: number(program),
        device,
        attach_type: ATTACH_XDP,
        flags,
    };
    bpf_fd(LINK_CREATE, &mut link)
}

#[repr(C)]
struct Id {
    id: u32,
    next: u32,
    flags: u32,
}
// SAFETY: As the commands that go by numbers have it.
unsafe impl Attr for Id {}

#[repr(C)]
#[derive(Default)]
struct BtfInfo {
    btf: u64,
    size: u32,
    id: u32,
    name: u64,
    name_len: u32,
    of_kernel: u32,
}

/// A module's BTF.
pub struct ModuleBtf {
    /// For programs that call its functions.
    pub fd: OwnedFd,
    /// All of it.
    pub bytes: Vec<u8>,
}

fn btf_info(fd: &OwnedFd, about: &mut BtfInfo) -> io::Result<()> {
    let mut info = Info {
        fd: number(fd),
        len: mem::size_of::<BtfInfo>() as u32,
        info: std::ptr::from_mut(about).addr() as u64,
    };
    bpf(OBJ_GET_INFO_BY_FD, &mut info).map(drop)
}

/// The BTF of the module of that name; none where it is not loaded, or has none.
pub fn module_btf(module: &str) -> Result<Option<ModuleBtf>, Error> {
    const WHAT: &str = "look through the types of modules (BTF)";
    let mut id = Id {
        id: 0,
        next: 0,
        flags: 0,
    };
    for _ in 0..MOST {
        match bpf(BTF_GET_NEXT_ID, &mut id) {
            Ok(_) => id.id = id.next,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
            Err(error) => return Err(Error::Kernel { what: WHAT, error }),
        }
        let mut one = Id {
            id: id.id,
            next: 0,
            flags: 0,
        };
        let fd = match bpf_fd(BTF_GET_FD_BY_ID, &mut one) {
            Ok(fd) => fd,
            // It has gone meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
            Err(error) => return Err(Error::Kernel { what: WHAT, error }),
        };
        let mut name = [0u8; 64];
        let mut about = BtfInfo {
            name: name.as_mut_ptr().addr() as u64,
            name_len: name.len() as u32,
            ..BtfInfo::default()
        };
        btf_info(&fd, &mut about).map_err(Error::kernel(WHAT))?;
        let is_it = name
            .strip_prefix(module.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&0));
        if !is_it || about.of_kernel == 0 {
            continue;
        }
        let mut bytes = vec![0u8; about.size.min(BTF_MAX) as usize];
        let mut whole = BtfInfo {
            btf: bytes.as_mut_ptr().addr() as u64,
            size: bytes.len() as u32,
            ..BtfInfo::default()
        };
        btf_info(&fd, &mut whole).map_err(Error::kernel(WHAT))?;
        return Ok(Some(ModuleBtf { fd, bytes }));
    }
    Ok(None)
}

/// The file system at `path` is one for BPF's objects from now on, as `ip` and systemd see to.
pub fn have_file_system(path: &Path) -> io::Result<()> {
    const MAGIC: u32 = 0xcafe_4a11;
    let path = c_path(path)?;
    // SAFETY: All zero is a value of it, and the call fills it in.
    let found = unsafe {
        let mut about: libc::statfs = mem::zeroed();
        match libc::statfs(path.as_ptr(), &mut about) {
            0 => about.f_type as u32 == MAGIC,
            _ => return Err(io::Error::last_os_error()),
        }
    };
    if found {
        return Ok(());
    }
    let (kind, data) = (c"bpf", c"mode=0700");
    // SAFETY: Strings that end with 0.
    let done = unsafe {
        libc::mount(
            kind.as_ptr(),
            path.as_ptr(),
            kind.as_ptr(),
            0,
            data.as_ptr().cast(),
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[repr(C)]
struct EthtoolValue {
    command: u32,
    value: u32,
}

#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    value: *mut EthtoolValue,
    padding: [u64; 2],
}

/// The flags of `ETHTOOL_GFLAGS` of a device, `ETH_FLAG_…`.
pub fn ethtool_flags(device: &str) -> io::Result<u32> {
    const GET_FLAGS: u32 = 0x25;
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().take(libc::IFNAMSIZ - 1).zip(device.bytes()) {
        *to = from;
    }
    // SAFETY: No pointers; what comes is a fd or an error.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: It was made for us.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let mut value = EthtoolValue {
        command: GET_FLAGS,
        value: 0,
    };
    let mut request = Request {
        name,
        value: &mut value,
        padding: [0; 2],
    };
    // SAFETY: SIOCETHTOOL takes an `ifreq` with a pointer to what its first word says.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), 0x8946, std::ptr::from_mut(&mut request)) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_verifiers_log_the_end_is_told() {
        let log = b"0: (b7) r2 = 0\ncalling kernel function rvs_xdp is not allowed\nprocessed 2 insns\n\0\0";
        let told = last_lines(log);
        assert_eq!(
            told,
            "0: (b7) r2 = 0; calling kernel function rvs_xdp is not allowed"
        );
        assert_eq!(last_lines(b"\0"), "");
        assert_eq!(last_lines(b""), "");
    }

    #[test]
    fn attributes_are_as_long_as_the_kernels() {
        assert_eq!(mem::size_of::<Load>(), 128);
        assert_eq!(mem::size_of::<LinkInfo>(), 64);
        assert_eq!(mem::size_of::<BtfInfo>(), 32);
    }
}
