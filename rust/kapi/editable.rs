// SPDX-License-Identifier: GPL-2.0

//! Packets whose headers are edited in place, whatever they are in.

/// A packet whose headers are read and written where they are: one of the stack's, or a frame.
pub(crate) trait Editable {
    /// The linear part from the IP header on.
    fn head(&self) -> &[u8];

    /// The same, for writing: it is the holder's alone.
    fn head_mut(&mut self) -> &mut [u8];

    /// Bytes of the packet from the IP header on.
    fn len(&self) -> u32;

    /// Whether a device is to make its transport checksum, whose field has the pseudo header's sum.
    fn is_checksum_partial(&self) -> bool;

    /// Takes one off the time to live or hop limit of a packet of that IP version, as a router does.
    #[inline(always)]
    fn count_hop(&mut self, version: u8) {
        if version == 4 {
            if let Some(header) = self.head_mut().first_chunk_mut::<20>() {
                decrease_ttl(header);
            }
        } else if let Some(hop_limit) = self.head_mut().get_mut(7) {
            *hop_limit = hop_limit.wrapping_sub(1);
        }
    }
}

/// Takes one off the time to live, and mends the header's checksum.
#[inline(always)]
fn decrease_ttl(header: &mut [u8; 20]) {
    let [.., ttl, _, c0, c1, _, _, _, _, _, _, _, _] = header;
    *ttl = ttl.wrapping_sub(1);
    // RFC 1624: 0x0100 less in the header is 0x0100 more in the checksum.
    let (sum, carry) = u16::from_be_bytes([*c0, *c1]).overflowing_add(0x0100);
    [*c0, *c1] = sum.wrapping_add(u16::from(carry)).to_be_bytes();
}
