// SPDX-License-Identifier: GPL-2.0

//! Source routes in the options of an IPv4 header (RFC 791, section 3.1).

use super::Error;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
/// Loose and strict source route.
const ROUTES: [u8; 2] = [0x83, 0x89];
/// Bytes of a route ahead of its addresses: kind, length, pointer.
const HEAD: usize = 3;

/// A route that its sender has given a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRoute {
    /// Whether the packet has come to the end of it.
    pub is_over: bool,
}

/// The source route among `options`, what follows the fixed part of the header.
///
/// # Errors
///
/// `HeaderLength` where an option lies about its length, or there is a second route.
pub fn read(options: &[u8]) -> Result<Option<SourceRoute>, Error> {
    let (mut rest, mut found) = (options, None);
    while let [kind, after @ ..] = rest {
        match *kind {
            END => break,
            NO_OPERATION => rest = after,
            kind => {
                let len = after.first().map_or(0, |len| usize::from(*len));
                let option = rest.get(..len).filter(|option| option.len() >= 2);
                let option = option.ok_or(Error::HeaderLength)?;
                if ROUTES.contains(&kind) {
                    let route = route(option).ok_or(Error::HeaderLength)?;
                    if found.replace(route).is_some() {
                        return Err(Error::HeaderLength);
                    }
                }
                rest = rest.get(len..).unwrap_or(&[]);
            }
        }
    }
    Ok(found)
}

/// Reads a route; the pointer counts from 1.
fn route(option: &[u8]) -> Option<SourceRoute> {
    let pointer = usize::from(*option.get(HEAD - 1)?);
    (pointer > HEAD).then_some(SourceRoute {
        is_over: pointer > option.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON_ITS_WAY: Result<Option<SourceRoute>, Error> = Ok(Some(SourceRoute { is_over: false }));
    const OVER: Result<Option<SourceRoute>, Error> = Ok(Some(SourceRoute { is_over: true }));

    #[test]
    fn routes_are_found_behind_other_options() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[1, 1, 0, 0x83]), Ok(None));
        assert_eq!(read(&[0x94, 4, 0, 0]), Ok(None));
        for kind in ROUTES {
            assert_eq!(read(&[kind, 7, 4, 192, 0, 2, 1, 0]), ON_ITS_WAY);
            assert_eq!(read(&[0x94, 4, 0, 0, 1, kind, 7, 8, 192, 0, 2, 1]), OVER);
            assert_eq!(read(&[kind, 3, 4, 0]), OVER);
        }
    }

    #[test]
    fn lies_are_refused() {
        for lie in [
            &[0x83u8][..],
            &[0x83, 2, 0, 0],
            &[0x83, 7, 3, 192, 0, 2, 1, 0],
            &[0x83, 8, 4, 192, 0, 2, 1],
            &[0x94, 0, 0, 0],
            &[0x94, 1, 0, 0],
            &[0x83, 3, 4, 0x89, 3, 4],
        ] {
            assert_eq!(read(lie), Err(Error::HeaderLength), "{lie:?}");
        }
    }
}
