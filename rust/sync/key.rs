// SPDX-License-Identifier: GPL-2.0

//! The key that directors share: with one, nothing is taken that is not signed with it.

use crate::{
    engine::sync::{tail, Datagram, Fault, Range, Tail},
    kapi::sign::{Signer, SIGNATURE},
    table::Parcel,
};

const _: () = assert!(SIGNATURE == tail::SIGNATURE);

/// Reads a datagram of directors with that id, and that key where there is one.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    id: u8,
    key: Option<&Signer>,
) -> Result<Datagram<'a>, Fault> {
    let datagram = Datagram::read(bytes, id)?;
    let Some(key) = key else {
        return Ok(datagram);
    };
    let is_signed = datagram.tailed().is_some_and(|tailed| tailed.tail.signed);
    match bytes.split_last_chunk() {
        Some((data, signature)) if is_signed => match key.has_signed(data, signature) {
            true => Ok(datagram),
            false => Err(Fault::Key),
        },
        _ => Err(Fault::Unsigned),
    }
}

/// Ends a datagram with its tail, signed where there is a key.
pub(super) fn close(parcel: &mut Parcel, mut tail: Tail, ranges: &[Range], key: Option<&Signer>) {
    tail.signed = key.is_some();
    parcel.close(&tail, ranges);
    if let Some(key) = key {
        parcel.sign(key);
    }
}
