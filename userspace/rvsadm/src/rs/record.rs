// SPDX-License-Identifier: GPL-2.0

//! What a set-up changed in a network namespace, kept in a file until it is undone.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::host::Host;
use super::setting::Setting;
use crate::failure::Failure;
use crate::whole;

/// The current network namespace; its inode number names it.
const NAMESPACE: &str = "/proc/self/ns/net";

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What was changed.
    pub setting: Setting,
    /// Its value before the first set-up.
    pub before: String,
    /// The value it was given.
    pub after: String,
}

/// The changes made in this namespace, oldest first.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it is kept, if it is.
    path: Option<PathBuf>,
    changes: Vec<Change>,
}

impl Record {
    /// Reads the record of this namespace in `directory`; without a file nothing was changed.
    pub fn load(directory: &Path) -> Result<Self, Failure> {
        let inode = fs::metadata(NAMESPACE)
            .map_err(|error| failed(Path::new(NAMESPACE), error))?
            .ino();
        Self::open(directory.join(format!("rs-{inode}.json")))
    }

    /// Reads the record in the file `path`.
    pub fn open(path: PathBuf) -> Result<Self, Failure> {
        let changes = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(&path, error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(&path, error)),
        };
        let path = Some(path);
        Ok(Self { path, changes })
    }

    /// The same for a trial: what is added is kept nowhere.
    pub fn unwritten(self) -> Self {
        Self { path: None, ..self }
    }

    /// Whether nothing of it is so any more: it is of a namespace that is gone.
    pub fn is_stale(&self, host: &dyn Host) -> Result<bool, Failure> {
        for change in &self.changes {
            if host.get(&change.setting)? == change.after {
                return Ok(false);
            }
        }
        Ok(!self.changes.is_empty())
    }

    /// Adds a change; of a setting that was changed before, what it was at first is kept.
    pub fn add(&mut self, change: Change) -> Result<(), Failure> {
        let same = self
            .changes
            .iter_mut()
            .find(|other| other.setting == change.setting);
        match same {
            Some(same) => same.after = change.after,
            None => self.changes.push(change),
        }
        self.store()
    }

    /// Forgets a change.
    pub fn remove(&mut self, setting: &Setting) -> Result<(), Failure> {
        self.changes.retain(|change| change.setting != *setting);
        self.store()
    }

    /// Forgets all.
    pub fn clear(&mut self) -> Result<(), Failure> {
        self.changes.clear();
        self.store()
    }

    /// The changes, newest first.
    pub fn newest_first(&self) -> Vec<Change> {
        self.changes.iter().rev().cloned().collect()
    }

    /// The addresses that were added.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.changes
            .iter()
            .filter_map(|change| match change.setting {
                Setting::Address(address) => Some(address),
                _ => None,
            })
    }

    /// Writes the file, or removes it when there is nothing to remember.
    pub fn store(&self) -> Result<(), Failure> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let stored = if self.changes.is_empty() {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        } else {
            self.write(path)
        };
        stored.map_err(|error| failed(path, error))
    }

    /// Writes the file as a whole: a record that is half there would undo half.
    fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        whole::replace(path, &serde_json::to_vec_pretty(&self.changes)?)
    }
}

fn failed(path: &Path, error: impl ToString) -> Failure {
    Failure::new(
        format!("use the record {}", path.display()),
        error.to_string(),
        Some("run it as root; it records what it changes, to undo it"),
    )
}
