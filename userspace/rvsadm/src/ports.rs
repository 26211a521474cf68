// SPDX-License-Identifier: GPL-2.0

//! Names of ports, as ipvsadm-save prints them when it is not told to print numbers.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fs;

use rvs_engine::spec::Protocol;

/// The system's names of ports.
const SERVICES: &str = "/etc/services";

/// Names for systems without that file.
const WELL_KNOWN: &str = "\
ftp 21/tcp
ssh 22/tcp
smtp 25/tcp
domain 53/tcp
domain 53/udp
http 80/tcp www
pop3 110/tcp
ntp 123/udp
imap2 143/tcp imap
ldap 389/tcp
https 443/tcp
https 443/udp
syslog 514/udp
ldaps 636/tcp
imaps 993/tcp
pop3s 995/tcp
mysql 3306/tcp
http-alt 8080/tcp
";

/// Names of ports, read when the first is asked for.
#[derive(Default)]
pub struct Ports {
    names: OnceCell<HashMap<(String, String), u16>>,
}

impl Ports {
    /// Those of this host.
    pub fn of_host() -> Self {
        Self::default()
    }

    /// The port that is called `name`.
    pub fn number(&self, name: &str, protocol: Protocol) -> Option<u16> {
        let names = self.names.get_or_init(|| {
            let mut names = parse(WELL_KNOWN);
            names.extend(parse(&fs::read_to_string(SERVICES).unwrap_or_default()));
            names
        });
        let key = (name.to_owned(), protocol.name().to_owned());
        names.get(&key).copied()
    }
}

/// Reads lines like `http 80/tcp www # comment`.
fn parse(text: &str) -> HashMap<(String, String), u16> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (Some(name), Some(port)) = (words.next(), words.next()) else {
            continue;
        };
        let Some((number, protocol)) = port.split_once('/') else {
            continue;
        };
        let Ok(number) = number.parse() else {
            continue;
        };
        for name in std::iter::once(name).chain(words) {
            names.insert((name.to_owned(), protocol.to_owned()), number);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases() {
        let ports = Ports::default();
        assert_eq!(ports.number("http", Protocol::Tcp), Some(80));
        assert_eq!(ports.number("www", Protocol::Tcp), Some(80));
        assert_eq!(ports.number("domain", Protocol::Udp), Some(53));
        assert_eq!(ports.number("no-such-port", Protocol::Tcp), None);
    }
}
