// SPDX-License-Identifier: GPL-2.0

//! Files under /proc/sys, of the current network namespace.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::setting::ABSENT;
use crate::failure::Failure;

const CONF: &str = "/proc/sys/net/ipv4/conf";

const CONF_V6: &str = "/proc/sys/net/ipv6/conf";

/// Path of `net.ipv4.conf.INTERFACE.FILE`, or of IPv6's; an interface's name may have dots itself.
fn path(name: &str) -> Option<PathBuf> {
    let (conf, rest) = match name.strip_prefix("net.ipv4.conf.") {
        Some(rest) => (CONF, rest),
        None => (CONF_V6, name.strip_prefix("net.ipv6.conf.")?),
    };
    let (interface, file) = rest.rsplit_once('.')?;
    Some([conf, interface, file].iter().collect())
}

fn failed(what: &str, name: &str, error: impl ToString) -> Failure {
    let hint = "run it as root, with /proc/sys writable";
    Failure::new(format!("{what} {name}"), error.to_string(), Some(hint))
}

/// Reads a value; that of an interface that is not there is [`ABSENT`].
pub fn get(name: &str) -> Result<String, Failure> {
    let path = path(name).ok_or_else(|| failed("read", name, "no such setting"))?;
    match fs::read_to_string(&path) {
        Ok(value) => Ok(value.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_of_nobody(&path) => {
            Ok(ABSENT.to_owned())
        }
        Err(error) => Err(failed("read", name, error)),
    }
}

/// Whether there are settings of interfaces, but not of this one.
fn is_of_nobody(path: &Path) -> bool {
    let mut above = path.ancestors().skip(1);
    let (interface, all) = (above.next(), above.next());
    all.is_some_and(Path::is_dir) && !interface.is_some_and(Path::is_dir)
}

/// Writes a value.
pub fn set(name: &str, value: &str) -> Result<(), Failure> {
    let path = path(name).ok_or_else(|| failed("write", name, "no such setting"))?;
    fs::write(path, value).map_err(|error| failed("write", name, error))
}

/// Names of the interfaces that have such settings, besides lo: of IPv4, or of IPv6, which not all
/// of them have.
pub fn interfaces(v6: bool) -> Result<Vec<String>, Failure> {
    let conf = if v6 { CONF_V6 } else { CONF };
    let entries = fs::read_dir(conf).map_err(|error| failed("read", conf, error))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> = names
        .filter(|name| !["all", "default", "lo"].contains(&name.as_str()))
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_missing_interface_has() {
        assert_eq!(get("net.ipv4.conf.no such.rp_filter").unwrap(), ABSENT);
        assert!(get("net.ipv4.conf.lo.no_such").is_err());
    }

    #[test]
    fn interfaces_may_have_dots() {
        let path = path("net.ipv4.conf.eth0.100.arp_ignore").unwrap();
        assert_eq!(
            path,
            PathBuf::from("/proc/sys/net/ipv4/conf/eth0.100/arp_ignore")
        );
        let v6 = super::path("net.ipv6.conf.all.accept_redirects").unwrap();
        assert!(v6.starts_with("/proc/sys/net/ipv6/conf/all"));
    }
}
