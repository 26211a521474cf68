// SPDX-License-Identifier: GPL-2.0

//! Network namespaces: which there are, and working in one of them.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::thread::{move_into_link_name_space, LinkNameSpaceType};

use crate::failure::Failure;

/// Where `ip netns` keeps them.
const FOLDER: &str = "/run/netns";

/// That of the thread that asks.
const OWN: &str = "/proc/thread-self/ns/net";

/// Namespaces that are looked at in one scrape; more are not.
const MOST: usize = 1000;

/// Which namespaces to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The one that this program runs in.
    pub own: bool,
    /// Every one that has a name.
    pub all: bool,
    /// Those with these names, whether they are there or not.
    pub names: Vec<String>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name; nothing for the one that this program runs in.
    pub name: String,
    path: Option<PathBuf>,
}

impl Chosen {
    /// Those there are now, each once; the own one goes by its name if it has one that is chosen.
    pub fn places(&self) -> Vec<Place> {
        self.places_in(Path::new(FOLDER), Path::new(OWN))
    }

    fn places_in(&self, folder: &Path, own: &Path) -> Vec<Place> {
        let mut names = self.names.clone();
        if self.all {
            // Without the folder nobody has made any.
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let found = entries.filter_map(|entry| entry.file_name().into_string().ok());
            let mut found: Vec<_> = found.filter(|name| !names.contains(name)).collect();
            found.sort();
            names.extend(found.into_iter().take(MOST));
        }
        let mut seen = Vec::new();
        let mut is_new = |path: &Path| match fs::metadata(path) {
            Ok(data) => {
                let which = (data.dev(), data.ino());
                let is_new = !seen.contains(&which);
                seen.push(which);
                is_new
            }
            // It is told of as one that cannot be read.
            Err(_) => true,
        };
        let mut places = Vec::new();
        for name in names {
            let path = folder.join(&name);
            if is_new(&path) {
                let path = Some(path);
                places.push(Place { name, path });
            }
        }
        if self.own && is_new(own) {
            let (name, path) = (String::new(), None);
            places.insert(0, Place { name, path });
        }
        places
    }
}

impl Place {
    /// Does something there. A thread of its own does it, and nothing stays open, so that a namespace
    /// that is removed goes.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let Some(path) = &self.path else {
            return Ok(work());
        };
        let namespace = File::open(path)?;
        thread::scope(|scope| {
            let there = thread::Builder::new().spawn_scoped(scope, || {
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), network)?;
                drop(namespace);
                Ok(work())
            })?;
            let panicked = |_| io::Error::other("the thread that read it has ended");
            there.join().map_err(panicked)?
        })
    }
}

/// Has this program go on in the namespace of that name.
pub fn enter(name: &str) -> Result<(), Failure> {
    let namespace = File::open(Path::new(FOLDER).join(name));
    let entered = namespace.and_then(|namespace| {
        let network = Some(LinkNameSpaceType::Network);
        Ok(move_into_link_name_space(namespace.as_fd(), network)?)
    });
    entered.map_err(|error| {
        let what = format!("enter network namespace {name}");
        Failure::new(
            what,
            told(&error),
            Some("ip netns lists those that have a name"),
        )
    })
}

/// Checks the name of a namespace as `ip netns` would.
pub fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('/') || text == "." || text == ".." {
        return Err("it is the name of a network namespace, as ip netns lists them".to_owned());
    }
    Ok(text.to_owned())
}

/// Why a namespace could not be entered, with what it takes.
pub fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no such namespace in {FOLDER}"),
        io::ErrorKind::PermissionDenied => {
            format!("{error}: entering another namespace takes CAP_SYS_ADMIN")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_files() {
        assert_eq!(name("blue"), Ok("blue".to_owned()));
        for text in ["", ".", "..", "a/b", "/run/netns/blue"] {
            assert!(name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_is_there_once() {
        let folder = std::env::temp_dir().join(format!("rvsadm-netns-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let own = folder.join("own");
        fs::write(&own, "").unwrap();
        fs::write(folder.join("b"), "").unwrap();
        fs::hard_link(folder.join("b"), folder.join("same")).unwrap();
        let names = |chosen: &Chosen| {
            let places = chosen.places_in(&folder, &own);
            places
                .into_iter()
                .map(|place| place.name)
                .collect::<Vec<_>>()
        };
        let mut chosen = Chosen {
            own: true,
            ..Chosen::default()
        };
        assert_eq!(names(&chosen), [""]);
        chosen.names = vec!["gone".to_owned(), "same".to_owned()];
        assert_eq!(names(&chosen), ["", "gone", "same"]);
        // The own one has a name, and b is the same as one that was asked for.
        chosen.all = true;
        assert_eq!(names(&chosen), ["gone", "same", "own"]);
        fs::remove_dir_all(&folder).unwrap();
        chosen.names.clear();
        assert_eq!(names(&chosen), [""]);
    }
}
