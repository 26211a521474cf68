// SPDX-License-Identifier: GPL-2.0

//! Files of records: a header of 32 bytes, then the records. Numbers are in network order.

use rvs_netlink::Records;

use super::checksum::crc32c;

/// What such a file begins with.
const MAGIC: [u8; 8] = *b"RVSCONN\n";

/// The version of the file. What records say has one of its own, which the module knows.
const VERSION: u32 = 1;

/// Bytes of the header: what it begins with, version, checksum of the rest, how many records, how
/// many bytes they have.
const HEADER: usize = 8 + 4 + 4 + 8 + 8;

/// The file of some records.
pub fn of(records: &Records) -> Vec<u8> {
    let body = records.as_bytes();
    let mut file = Vec::with_capacity(HEADER + body.len());
    file.extend(MAGIC);
    file.extend(VERSION.to_be_bytes());
    file.extend(crc32c(body).to_be_bytes());
    file.extend(records.len().to_be_bytes());
    file.extend((body.len() as u64).to_be_bytes());
    file.extend(body);
    file
}

/// The records of a file, or why it is none.
pub fn read(file: &[u8]) -> Result<Records, String> {
    let no_such = || "it is no file of rvsadm conn save".to_owned();
    let (magic, rest) = file.split_first_chunk::<8>().ok_or_else(no_such)?;
    if *magic != MAGIC {
        return Err(no_such());
    }
    let cut = || format!("it is cut short: its header alone takes {HEADER} bytes");
    let (version, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let version = u32::from_be_bytes(*version);
    if version != VERSION {
        return Err(format!(
            "it is of version {version}, this rvsadm reads version {VERSION}"
        ));
    }
    let (sum, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (count, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (length, body) = rest.split_first_chunk().ok_or_else(cut)?;
    let (has, wants) = (body.len() as u64, u64::from_be_bytes(*length));
    if has < wants {
        return Err(format!(
            "it is cut short: it has {has} bytes of {wants} behind its header"
        ));
    }
    let whole = has == wants && crc32c(body) == u32::from_be_bytes(*sum);
    let records = whole.then(|| Records::of_bytes(body.to_vec())).flatten();
    let changed = || "it was changed: its checksum is another".to_owned();
    let records = records.ok_or_else(changed)?;
    match records.len() == u64::from_be_bytes(*count) {
        true => Ok(records),
        false => Err(changed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Records {
        Records::of_bytes([[0, 3, 1, 2, 3], [0, 3, 4, 5, 6]].concat()).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        for records in [some(), Records::default()] {
            assert_eq!(read(&of(&records)).unwrap(), records);
        }
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let file = of(&some());
        for end in 0..file.len() {
            let why = read(&file[..end]).unwrap_err();
            let says = if end < 8 { "no file" } else { "cut short" };
            assert!(why.contains(says), "{end}: {why}");
        }
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 0x10;
            assert!(read(&changed).is_err(), "{at}");
        }
        assert!(read(&[file.clone(), vec![0]].concat())
            .unwrap_err()
            .contains("changed"));
        let mut newer = file;
        newer[11] = 2;
        let why = read(&newer).unwrap_err();
        assert!(why.contains("version 2"), "{why}");
        assert!(read(b"-A -t 10.0.0.1:80 -s rr")
            .unwrap_err()
            .contains("no file"));
    }
}
