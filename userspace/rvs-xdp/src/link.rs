// SPDX-License-Identifier: GPL-2.0

//! Links of devices and programs, each held by a file of the BPF file system.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::{program, sys, Error};

/// Where the files are.
pub const FOLDER: &str = "/sys/fs/bpf/rvs";

/// What they are in.
const FILE_SYSTEM: &str = "/sys/fs/bpf";

/// The network namespace of the thread that asks.
const OWN: &str = "/proc/thread-self/ns/net";

// Of include/uapi/linux/if_link.h.
const GENERIC: u32 = 1 << 1;
const NATIVE: u32 = 1 << 2;

/// A device that gives its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Its index; none when the device is gone.
    pub device: Option<u32>,
    /// The number that the program is listed by.
    pub program: u32,
    /// By the stack's copy of drivers, not by its own.
    pub generic: bool,
    /// The network namespace that it was in then, as inodes number them: a device may have moved.
    pub namespace: u64,
    path: PathBuf,
}

/// The network namespace of this thread, as inodes number them.
///
/// # Errors
///
/// What the kernel says.
pub fn namespace() -> io::Result<u64> {
    Ok(fs::metadata(OWN)?.ino())
}

/// Has the device of that index, in this thread's network namespace, give its frames.
///
/// # Errors
///
/// Those of [`program::load`], and what the kernel says of device and file.
pub fn attach(device: u32, generic: bool) -> Result<(), Error> {
    let namespace = namespace().map_err(Error::kernel("read the network namespace"))?;
    sys::have_file_system(Path::new(FILE_SYSTEM))
        .map_err(Error::kernel("mount the BPF file system at /sys/fs/bpf"))?;
    let made = fs::create_dir(FOLDER);
    if let Err(error) = made {
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err(Error::kernel("make /sys/fs/bpf/rvs")(error));
        }
    }
    let program = program::load(generic)?;
    let flags = if generic { GENERIC } else { NATIVE };
    let link = sys::attach(&program, device, flags);
    let link = link.map_err(Error::kernel("give the device the program"))?;
    // What is left of devices that are gone: another namespace may get the number of theirs.
    for gone in all().unwrap_or_default() {
        if gone.device.is_none() {
            let _ = gone.detach();
        }
    }
    let info = sys::link_info(&link);
    let (_, program) = info.map_err(Error::kernel("ask for the program's number"))?;
    let path = path(namespace, program, generic);
    sys::pin(&link, &path).map_err(Error::kernel("keep the program in /sys/fs/bpf/rvs"))
}

/// By the program's number: that of the device may be another's, once it has moved to another namespace.
fn path(namespace: u64, program: u32, generic: bool) -> PathBuf {
    let mode = if generic { "generic" } else { "native" };
    Path::new(FOLDER).join(format!("{namespace}-{program}-{mode}"))
}

/// Namespace, program and mode of a file's name.
fn parse(name: &str) -> Option<(u64, u32, bool)> {
    let mut parts = name.split('-');
    let namespace = parts.next()?.parse().ok()?;
    let program = parts.next()?.parse().ok()?;
    let generic = match (parts.next()?, parts.next()) {
        ("generic", None) => true,
        ("native", None) => false,
        _ => return None,
    };
    Some((namespace, program, generic))
}

/// All of the host, in the order of namespaces and indices.
///
/// # Errors
///
/// What the kernel says.
pub fn all() -> io::Result<Vec<Attached>> {
    let entries = match fs::read_dir(FOLDER) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some((namespace, _, generic)) = name.and_then(parse) else {
            continue;
        };
        let (device, program) = match sys::pinned(&path).and_then(|link| sys::link_info(&link)) {
            Ok(info) => info,
            // Another took it away just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        all.push(Attached {
            device: (device != 0).then_some(device),
            program,
            generic,
            namespace,
            path,
        });
    }
    all.sort_by_key(|one| (one.namespace, one.device));
    Ok(all)
}

impl Attached {
    /// Has it give no more. The program goes when the last packet has left it.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn detach(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_is_read_as_it_is_written() {
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            parse(&name(path(4026531840, 7, true))),
            Some((4026531840, 7, true))
        );
        assert_eq!(
            parse(&name(path(1, u32::MAX, false))),
            Some((1, u32::MAX, false))
        );
        for other in [
            "",
            "1",
            "1-2",
            "1-2-3",
            "a-2-native",
            "1-2-native-3",
            "1--native",
            "1-99999999999-native",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
