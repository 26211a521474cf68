// SPDX-License-Identifier: GPL-2.0

//! Options of a TCP header (RFC 9293, section 3.1).

/// Kind of the end of the list.
const END: u8 = 0;
/// Kind of padding, one byte.
const NO_OPERATION: u8 = 1;
/// Kind of the largest segment that the sender takes (RFC 9293).
pub const MSS: u8 = 2;
/// Kind of the factor of windows (RFC 7323).
pub const WINDOW_SCALE: u8 = 3;
/// Kind that permits selective acknowledgments (RFC 2018).
pub const SACK_PERMITTED: u8 = 4;
/// Kind of selective acknowledgments (RFC 2018).
pub const SACK: u8 = 5;
/// Kind of timestamps (RFC 7323).
pub const TIMESTAMPS: u8 = 8;
/// Length of timestamps with kind and length, in bytes.
pub const TIMESTAMPS_LEN: usize = 10;
/// Kind of Multipath TCP (RFC 8684).
pub const MPTCP: u8 = 30;
/// Kind of Fast Open (RFC 7413).
pub const FAST_OPEN: u8 = 34;

/// One option of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOption {
    /// What it is.
    pub kind: u8,
    /// Where its kind is, in bytes from the start of the TCP header.
    pub offset: usize,
    /// Its length with kind and length, in bytes; at least 2.
    pub len: usize,
}

/// The options of a TCP header, padding left out. Ends at the first that lies about its length.
pub struct TcpOptions<'a> {
    header: &'a [u8],
    at: usize,
}

impl<'a> TcpOptions<'a> {
    /// Those of `header`, a whole TCP header with its options.
    #[inline]
    pub fn of(header: &'a [u8]) -> Self {
        Self::behind(header, super::transport::TCP_MIN_LEN)
    }

    /// Those from `at` on, where one ends.
    #[inline]
    pub fn behind(header: &'a [u8], at: usize) -> Self {
        Self { header, at }
    }

    /// What nobody reads once there is no next one: the end of the list, or the first that lies.
    #[inline]
    pub fn end(&self) -> usize {
        self.at
    }
}

impl Iterator for TcpOptions<'_> {
    type Item = TcpOption;

    fn next(&mut self) -> Option<TcpOption> {
        loop {
            let offset = self.at;
            let kind = *self.header.get(offset)?;
            match kind {
                END => return None,
                NO_OPERATION => self.at = offset.checked_add(1)?,
                _ => {
                    let len = usize::from(*self.header.get(offset.checked_add(1)?)?);
                    let end = offset.checked_add(len)?;
                    if len < 2 || end > self.header.len() {
                        return None;
                    }
                    self.at = end;
                    return Some(TcpOption { kind, offset, len });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(bytes: &[u8]) -> Vec<(u8, usize, usize)> {
        let mut header = vec![0; 20];
        header.extend(bytes);
        let options = TcpOptions::of(&header);
        options.map(|o| (o.kind, o.offset, o.len)).collect()
    }

    #[test]
    fn padding_is_left_out() {
        let syn = [
            2, 4, 5, 180, 1, 3, 3, 7, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0,
        ];
        assert_eq!(
            options(&syn),
            [(2, 20, 4), (3, 25, 3), (4, 28, 2), (8, 30, 10)]
        );
        assert_eq!(options(&[0, 8, 10]), []);
    }

    #[test]
    fn lies_end_the_list() {
        for lie in [&[5u8, 0][..], &[5, 1], &[5, 3], &[5], &[8, 11, 1, 2]] {
            let mut bytes = vec![4, 2];
            bytes.extend(lie);
            assert_eq!(options(&bytes), [(4, 20, 2)], "{lie:?}");
        }
    }
}
