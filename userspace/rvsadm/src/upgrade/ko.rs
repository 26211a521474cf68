// SPDX-License-Identifier: GPL-2.0

//! Files of modules: what they say of themselves, and whether one is the module that runs.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{memfd_create, MemfdFlags};
use rustix::io::Errno;
use rustix::system::{delete_module, finit_module};

/// Where the module's copy is that was loaded last, as packages replace their files.
pub const KEPT: &str = "/run/rvs/rvs.ko";

/// What is told of a module that runs.
const RUNNING: &str = "/sys/module/rvs";

/// The file of a module.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its name.
    pub path: PathBuf,
    /// Its content, unpacked.
    content: Vec<u8>,
}

impl Module {
    /// Reads one; those that end in .xz, .zst and .gz are unpacked.
    pub fn read(path: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot read {}: {error}", path.display());
        let packers = [("xz", "xz"), ("zst", "zstd"), ("gz", "gzip")];
        let extension = path.extension().unwrap_or_default();
        let packer = packers.iter().find(|(end, _)| *end == extension);
        let content = match packer {
            None => fs::read(path).map_err(failed)?,
            Some((_, program)) => {
                let done = Command::new(program).arg("-dc").arg(path).output();
                let done = done.map_err(failed)?;
                if !done.status.success() {
                    let why = String::from_utf8_lossy(&done.stderr);
                    return Err(format!("{program}: {}", why.trim()));
                }
                done.stdout
            }
        };
        let module = Self {
            path: path.to_owned(),
            content,
        };
        match module.says("name") {
            Some(name) if name == "rvs" => Ok(module),
            Some(name) => Err(format!("{} is the module {name}, not rvs", path.display())),
            None => Err(format!("{} is no module of the kernel", path.display())),
        }
    }

    /// The one that modprobe would load.
    pub fn installed() -> Result<Self, String> {
        let done = Command::new("modinfo").args(["-n", "rvs"]).output();
        let done = done.map_err(|error| format!("modinfo: {error}"))?;
        let path = String::from_utf8_lossy(&done.stdout);
        match path.trim() {
            "" => Err("no module rvs is installed for this kernel".to_owned()),
            path => Self::read(Path::new(path)),
        }
    }

    /// What its section .modinfo says of something.
    pub fn says(&self, what: &str) -> Option<String> {
        let section = section(&self.content, b".modinfo")?;
        let mut lines = section.split(|byte| *byte == 0);
        lines.find_map(|line| {
            let rest = line.strip_prefix(what.as_bytes())?.strip_prefix(b"=")?;
            String::from_utf8(rest.to_vec()).ok()
        })
    }

    /// Its version.
    pub fn version(&self) -> String {
        self.says("version").unwrap_or_else(|| "?".to_owned())
    }

    /// Whether it was built for the kernel that runs; else for which.
    pub fn fits(&self) -> Result<(), String> {
        let magic = self.says("vermagic").unwrap_or_default();
        let built_for = magic.split(' ').next().unwrap_or_default();
        let uname = rustix::system::uname();
        let runs = uname.release().to_string_lossy();
        if built_for == runs {
            return Ok(());
        }
        let path = self.path.display();
        Err(format!(
            "{path} is built for the kernel {built_for}, and {runs} runs"
        ))
    }

    /// Whether it is what runs: by the id of its build, or else by that of its source.
    pub fn runs(&self) -> bool {
        let note = fs::read(format!("{RUNNING}/notes/.note.gnu.build-id"));
        match (section(&self.content, b".note.gnu.build-id"), note) {
            (Some(ours), Ok(runs)) => ours == runs,
            _ => {
                let source = fs::read_to_string(format!("{RUNNING}/srcversion"));
                let ours = self.says("srcversion");
                ours.is_some() && ours.as_deref() == source.ok().as_deref().map(str::trim)
            }
        }
    }

    /// Has modules loaded that it needs.
    pub fn load_others(&self) {
        let others = self.says("depends").unwrap_or_default();
        for other in others.split(',').filter(|name| !name.is_empty()) {
            crate::rs::module::load(other);
        }
    }

    /// Puts it where the kernel can take it from, so that loading it takes no longer than it has to.
    pub fn ready(&self) -> Result<Ready<'_>, String> {
        let path = self.path.display();
        let failed = |error: io::Error| format!("no memory for {path}: {error}");
        let file = memfd_create(c"rvs.ko", MemfdFlags::CLOEXEC);
        let mut file = File::from(file.map_err(|error| failed(error.into()))?);
        file.write_all(&self.content).map_err(failed)?;
        Ok(Ready { module: self, file })
    }

    /// Keeps a copy of it where the next upgrade finds it.
    pub fn keep(&self) -> io::Result<()> {
        let kept = Path::new(KEPT);
        fs::create_dir_all(kept.parent().unwrap_or(kept))?;
        crate::whole::replace(kept, &self.content)
    }
}

/// A module that is about to be loaded.
pub struct Ready<'a> {
    module: &'a Module,
    file: File,
}

impl Ready<'_> {
    /// The name of its file.
    pub fn path(&self) -> &Path {
        &self.module.path
    }

    /// Loads it.
    pub fn load(&self, parameters: &str) -> Result<(), String> {
        let parameters = CString::new(parameters).unwrap_or_default();
        let loaded = finit_module(&self.file, &parameters, 0);
        loaded.map_err(|error| match error {
            Errno::NOENT => "the kernel lacks a symbol that it needs (dmesg names it)".to_owned(),
            Errno::NOEXEC => "it is not for this kernel (dmesg says why)".to_owned(),
            error => error.to_string(),
        })
    }
}

/// The file of the module that runs: of those named, of the copy, of the installed one.
pub fn running(named: Option<&Path>) -> Result<Module, String> {
    if let Some(path) = named {
        let module = Module::read(path)?;
        return match module.runs() {
            true => Ok(module),
            false => Err(format!("{} is not the module that runs", path.display())),
        };
    }
    let kept = Module::read(Path::new(KEPT)).ok();
    let all = [kept, Module::installed().ok()];
    let mut found = all.into_iter().flatten();
    let found = found.find(Module::runs);
    found.ok_or_else(|| {
        format!(
            "the file of the module that runs is neither {KEPT} nor what modinfo names: if the new one \
             failed, nothing could come back"
        )
    })
}

/// Removes a module that is loaded and that nobody uses.
pub fn unload(module: &CStr) -> Result<(), Errno> {
    delete_module(module, rustix::fs::OFlags::NONBLOCK.bits() as _)
}

/// How many hold the module that runs.
pub fn holds() -> Option<usize> {
    let text = fs::read_to_string(format!("{RUNNING}/refcnt")).ok()?;
    text.trim().parse().ok()
}

/// A section of an ELF file of this machine, of 64 bits.
fn section<'a>(file: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    if !file.starts_with(b"\x7fELF\x02") {
        return None;
    }
    let number = |at: usize, len: usize| -> Option<usize> {
        let mut bytes = [0; 8];
        bytes
            .get_mut(..len)?
            .copy_from_slice(file.get(at..at.checked_add(len)?)?);
        usize::try_from(u64::from_le_bytes(bytes)).ok()
    };
    let (table, size, count) = (number(40, 8)?, number(58, 2)?, number(60, 2)?);
    let header = |index: usize| table.checked_add(index.checked_mul(size)?);
    let range = |at: usize| {
        let start = number(at.checked_add(24)?, 8)?;
        file.get(start..start.checked_add(number(at.checked_add(32)?, 8)?)?)
    };
    let names = range(header(number(62, 2)?)?)?;
    (0..count).find_map(|index| {
        let at = header(index)?;
        let rest = names.get(number(at, 4)?..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        if rest.get(..end)? == name {
            range(at)
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_module_is_said() {
        let path = std::env::temp_dir().join(format!("rvsadm-ko-{}.ko", std::process::id()));
        for content in [&b""[..], b"text", b"\x7fELF\x02\x01\x01", &[0xff; 100]] {
            fs::write(&path, content).unwrap();
            assert!(Module::read(&path).unwrap_err().contains("no module"));
        }
        // Any bytes behind what an ELF file begins with.
        for seed in 0..200_u32 {
            let mut file = b"\x7fELF\x02\x01\x01".to_vec();
            file.extend((0..300_u32).map(|at| (seed.wrapping_mul(at) >> 7) as u8));
            assert_eq!(section(&file, b".modinfo"), None);
        }
        fs::remove_file(&path).unwrap();
        assert!(Module::read(&path).unwrap_err().contains("cannot read"));
    }
}
