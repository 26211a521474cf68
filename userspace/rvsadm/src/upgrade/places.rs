// SPDX-License-Identifier: GPL-2.0

//! All network namespaces that can be entered: those that have a name, those that something is mounted
//! for, and those of processes.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::thread::{move_into_link_name_space, LinkNameSpaceType};

/// One of them, which does not go as long as this is there.
pub struct Place {
    /// What people call it.
    pub name: String,
    handle: File,
}

impl Place {
    /// Does something there, in a thread of its own.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        thread::scope(|scope| {
            let there = thread::Builder::new().spawn_scoped(scope, || {
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(self.handle.as_fd(), network)?;
                Ok(work())
            })?;
            let panicked = |_| io::Error::other("the thread there has ended");
            there.join().map_err(panicked)?
        })
    }
}

/// All that there are, each once.
pub fn all() -> Vec<Place> {
    let mut seen = HashSet::new();
    let mut places = Vec::new();
    for (name, path) in candidates() {
        let Ok(data) = fs::metadata(&path) else {
            continue;
        };
        if !seen.insert((data.dev(), data.ino())) {
            continue;
        }
        if let Ok(handle) = File::open(&path) {
            places.push(Place { name, handle });
        }
    }
    places
}

/// Where to look, those first whose names say most.
fn candidates() -> Vec<(String, PathBuf)> {
    let mut all = vec![("the host's".to_owned(), PathBuf::from("/proc/1/ns/net"))];
    let files = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let named = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default();
        (name.to_string_lossy().into_owned(), path)
    };
    all.extend(files(Path::new("/run/netns")).into_iter().map(named));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    all.extend(mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let path = words.nth(4)?;
        let is_one = line.contains(" - nsfs ") && line.contains(" net:[");
        is_one.then(|| (path.to_owned(), PathBuf::from(path)))
    }));
    for path in files(Path::new("/proc")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            all.push((format!("that of process {name}"), path.join("ns/net")));
        }
    }
    all.push((
        "this program's".to_owned(),
        PathBuf::from("/proc/self/ns/net"),
    ));
    all
}
