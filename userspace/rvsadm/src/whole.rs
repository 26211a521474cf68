// SPDX-License-Identifier: GPL-2.0

//! Files that are written as a whole: whoever reads one finds the old content or the new.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{fchown, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Makes `content` that of the file `path`, also if power fails or the disk is full meanwhile.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    // Of a link the file that it leads to; what is not there yet has its own name.
    let path = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let old = match fs::metadata(&path) {
        // A device or a pipe stays what it is.
        Ok(old) if !old.is_file() => {
            return OpenOptions::new()
                .write(true)
                .open(&path)?
                .write_all(content)
        }
        Ok(old) => Some(old),
        Err(_) => None,
    };
    let new = beside(&path);
    let written = write(&new, content, old.as_ref()).and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
        return written;
    }
    // The new name lasts when the folder does.
    File::open(folder(&path))?.sync_all()
}

/// A name of this process's own in the same folder, as only within a file system files change names.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes a file that is not there, with the owner and rights of the one that it is to replace.
fn write(path: &Path, content: &[u8], old: Option<&fs::Metadata>) -> io::Result<()> {
    let mode = old.map_or(0o666, |old| old.mode() & 0o7777);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    if let Some(old) = old {
        // Only root may; for others the file is theirs.
        let _ = fchown(&file, Some(old.uid()), Some(old.gid()));
        file.set_permissions(old.permissions())?;
    }
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// An empty folder of the test's own.
    fn empty_folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("rvsadm-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn content_and_rights() {
        let folder = empty_folder("whole");
        let path = folder.join("rvs.conf");
        replace(&path, b"one").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(names(&folder), ["rvs.conf"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = empty_folder("link");
        let (file, link) = (folder.join("file"), folder.join("link"));
        fs::write(&file, b"one").unwrap();
        symlink("file", &link).unwrap();
        replace(&link, b"two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"two");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = empty_folder("failure");
        let path = folder.join("rvs.conf");
        fs::write(&path, b"one").unwrap();
        // The name that the new one would have is taken.
        fs::create_dir(beside(&path)).unwrap();
        assert!(replace(&path, b"two").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert!(replace(&folder.join("none/rvs.conf"), b"two").is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
