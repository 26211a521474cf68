// SPDX-License-Identifier: GPL-2.0

//! Packets.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use core::{ffi::c_int, marker::PhantomData, ptr::NonNull, slice};

use super::netns::Net;
use crate::bindings;

/// `skb->pkt_type` of frames that are addressed to this host.
const PACKET_HOST: u8 = bindings::PACKET_HOST as u8;
/// `skb->ip_summed` of a packet whose whole payload the device has summed.
const CHECKSUM_COMPLETE: u8 = bindings::CHECKSUM_COMPLETE as u8;
/// `skb->ip_summed` of a packet whose device adds the payload's sum.
const CHECKSUM_PARTIAL: u8 = bindings::CHECKSUM_PARTIAL as u8;
/// `skb->ip_summed` of a packet that nobody has summed.
const CHECKSUM_NONE: u8 = bindings::CHECKSUM_NONE as u8;
/// The bit in `skb->active_extensions` of what a bridge knows of a packet.
#[cfg(CONFIG_BRIDGE_NETFILTER)]
const BRIDGED: u8 = 1 << bindings::skb_ext_id_SKB_EXT_BRIDGE_NF;
/// Bit in `skb_shared_info->gso_type` of a packet whose segments have headers of their own.
const GSO_FRAGLIST: u32 = bindings::SKB_GSO_FRAGLIST;
/// Flag in `skb->_skb_refdst`: the route is borrowed under RCU.
const DST_NOREF: usize = bindings::SKB_DST_NOREF;

/// The part of `sk_buff` that is copied as a whole, where most fields are.
type Headers = bindings::sk_buff__bindgen_ty_4__bindgen_ty_2;

/// A packet that a hook owns, with its network header at `skb->data`.
///
/// # Invariants
///
/// `skb` is live and only used through this value until a verdict is returned for it.
pub(crate) struct Skb<'a> {
    skb: NonNull<bindings::sk_buff>,
    _hook: PhantomData<&'a mut bindings::sk_buff>,
}

/// Proof that a packet was sent or freed.
pub(crate) struct Consumed(());

impl Consumed {
    /// # Safety
    ///
    /// The packet that the proof is for has been given away.
    pub(super) unsafe fn new() -> Self {
        Self(())
    }
}

impl<'a> Skb<'a> {
    /// # Safety
    ///
    /// `skb` is a live packet of which the caller gives away the use for `'a`.
    #[inline]
    pub(super) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // INVARIANT: The caller vouches for it.
        Self {
            // SAFETY: A live packet is not at null.
            skb: unsafe { NonNull::new_unchecked(skb) },
            _hook: PhantomData,
        }
    }

    /// Ends our use of the packet with a verdict for its owner.
    #[inline]
    pub(super) fn give_back(self, verdict: u32) -> u32 {
        verdict
    }

    /// The C object.
    #[inline]
    pub(super) fn as_raw(&self) -> *mut bindings::sk_buff {
        self.skb.as_ptr()
    }

    #[inline]
    fn get(&self) -> &bindings::sk_buff {
        // SAFETY: By the invariant.
        unsafe { self.skb.as_ref() }
    }

    #[inline]
    pub(super) fn get_mut(&mut self) -> &mut bindings::sk_buff {
        // SAFETY: By the invariant.
        unsafe { self.skb.as_mut() }
    }

    #[inline]
    fn headers(&self) -> &Headers {
        // SAFETY: Both members of the union are the same fields.
        unsafe { self.get().__bindgen_anon_4.headers.as_ref() }
    }

    #[inline]
    fn headers_mut(&mut self) -> &mut Headers {
        // SAFETY: As above.
        unsafe { self.get_mut().__bindgen_anon_4.headers.as_mut() }
    }

    /// Bytes from the network header on, linear or not.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.get().len
    }

    /// The linear part from the network header on.
    #[inline]
    pub(crate) fn head(&self) -> &[u8] {
        let skb = self.get();
        // SAFETY: The first `len - data_len` bytes at `data` are the packet's linear part.
        unsafe { slice::from_raw_parts(skb.data, skb.len.wrapping_sub(skb.data_len) as usize) }
    }

    /// Source address of an IPv4 packet, as it stands in the header, read in native order.
    #[inline(always)]
    pub(crate) fn ipv4_source(&self) -> u32 {
        self.ipv4_word::<12>()
    }

    /// Destination address of an IPv4 packet, likewise.
    #[inline(always)]
    pub(crate) fn ipv4_destination(&self) -> u32 {
        self.ipv4_word::<16>()
    }

    /// A word of the IPv4 header, without a check of lengths: every packet of the host is asked.
    #[inline(always)]
    fn ipv4_word<const OFFSET: usize>(&self) -> u32 {
        const { assert!(OFFSET + 4 <= 20) };
        // SAFETY: Netfilter's IPv4 hooks get packets whose IP header is whole and linear
        // (`ip_rcv_core` sees to it for received ones); it has no alignment to rely on.
        unsafe { self.get().data.add(OFFSET).cast::<u32>().read_unaligned() }
    }

    /// Source address of an IPv6 packet, its four words put together by exclusive or, each as it
    /// stands in the header, read in native order.
    #[inline(always)]
    pub(crate) fn ipv6_source(&self) -> u32 {
        self.ipv6_words::<8>()
    }

    /// Destination address of an IPv6 packet, likewise.
    #[inline(always)]
    pub(crate) fn ipv6_destination(&self) -> u32 {
        self.ipv6_words::<24>()
    }

    /// An address of the IPv6 header, without a check of lengths, as [`Skb::ipv4_word`].
    #[inline(always)]
    fn ipv6_words<const OFFSET: usize>(&self) -> u32 {
        const { assert!(OFFSET + 16 <= 40) };
        // SAFETY: Netfilter's IPv6 hooks get packets whose fixed header is whole and linear
        // (`ip6_rcv_core` sees to it for received ones); it has no alignment to rely on.
        let [low, high] = unsafe {
            let address = self.get().data.add(OFFSET).cast::<u64>();
            [address, address.add(1)].map(|half| half.read_unaligned())
        };
        let both = low ^ high;
        (both ^ (both >> 32)) as u32
    }

    /// The linear part from the network header on, for writing. It must have been made writable.
    #[inline]
    pub(crate) fn head_mut(&mut self) -> &mut [u8] {
        let skb = self.get_mut();
        let len = skb.len.wrapping_sub(skb.data_len) as usize;
        // SAFETY: As in `head`, and the packet is ours alone.
        unsafe { slice::from_raw_parts_mut(skb.data, len) }
    }

    /// Makes at least `len` bytes linear. False when the packet has fewer, or on lack of memory.
    pub(crate) fn pull(&mut self, len: usize) -> bool {
        let Ok(len) = u32::try_from(len) else {
            return false;
        };
        // SAFETY: By the invariant the packet is live and ours.
        unsafe { bindings::pskb_may_pull(self.as_raw(), len) }
    }

    /// Whether the frame was addressed to this host. What a bridge shows of frames to others is not.
    #[inline]
    pub(crate) fn is_for_this_host(&self) -> bool {
        self.headers().pkt_type() == PACKET_HOST && !self.is_bridged()
    }

    #[cfg(CONFIG_BRIDGE_NETFILTER)]
    #[inline(always)]
    fn is_bridged(&self) -> bool {
        if self.get().active_extensions & BRIDGED == 0 {
            return false;
        }
        // SAFETY: By the invariant.
        unsafe { bindings::rvs_is_bridged(self.as_raw()) }
    }

    #[cfg(not(CONFIG_BRIDGE_NETFILTER))]
    #[inline(always)]
    fn is_bridged(&self) -> bool {
        false
    }

    /// The mark that rules have given it; 0 for none.
    pub(crate) fn mark(&self) -> u32 {
        // SAFETY: All members of the union are plain words.
        unsafe { self.headers().__bindgen_anon_4.mark }
    }

    /// Takes a packet from the socket that the host has found for it.
    pub(crate) fn orphan(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::skb_orphan(self.as_raw()) };
    }

    /// Whether this host's own output got it from us, or from `ip_vs`.
    #[inline]
    pub(crate) fn is_balanced(&self) -> bool {
        self.headers().ipvs_property() != 0
    }

    /// Whether the packet stands for several that a device or the stack will cut.
    #[inline]
    pub(crate) fn is_gso(&self) -> bool {
        self.gso_size() != 0
    }

    /// Whether the packet's fragments are what it will be cut into. Then no byte of theirs may be
    /// moved to the linear part: SCTP's.
    pub(crate) fn is_cut_at_fragments(&self) -> bool {
        u32::from(self.gso_size()) == bindings::GSO_BY_FRAGS
    }

    #[inline]
    fn gso_size(&self) -> u16 {
        // SAFETY: The shared info is alive.
        unsafe { (*self.info()).gso_size }
    }

    /// What all that share the packet's memory share.
    #[inline(always)]
    fn info(&self) -> *const bindings::skb_shared_info {
        let skb = self.get();
        // SAFETY: It is at the end of a live packet's buffer.
        unsafe { skb.head.add(skb.end as usize) }.cast()
    }

    /// Whether the packet's segments are packets with headers of their own (`rx-gro-list`), which
    /// do not change with the first one's.
    #[inline(always)]
    pub(crate) fn has_many_headers(&self) -> bool {
        // SAFETY: The shared info is alive.
        self.get().data_len != 0 && unsafe { (*self.info()).gso_type & GSO_FRAGLIST != 0 }
    }

    /// Makes the first of [many headers](Self::has_many_headers) that of all, as it is without
    /// `rx-gro-list`; the transport header is at `transport`. False when there is no memory.
    pub(crate) fn take_first_header(&mut self, transport: usize) -> bool {
        // SAFETY: By the invariant; the kernel checks that the header is in the linear part.
        unsafe { bindings::rvs_take_first_header(self.as_raw(), transport as u32) }
    }

    /// The packet's first bytes, linear or not: as many as it has and `to` has room for.
    pub(crate) fn copy<'b>(&self, to: &'b mut [u8]) -> &'b [u8] {
        let len = to.len().min(self.len() as usize);
        let Some(to) = to.get_mut(..len) else {
            return &[];
        };
        // SAFETY: `to` has room for that many bytes; they are read from a live packet.
        let error = unsafe {
            bindings::skb_copy_bits(self.as_raw(), 0, to.as_mut_ptr().cast(), len as c_int)
        };
        match error {
            0 => to,
            _ => &[],
        }
    }

    /// Whether each segment of a [`Skb::is_gso`] packet fits `mtu`.
    fn gso_fits(&self, mtu: u32) -> bool {
        // SAFETY: By the invariant.
        unsafe { bindings::skb_gso_validate_network_len(self.as_raw(), mtu) }
    }

    /// Whether the packet, or each segment that it will be cut into, fits `mtu`.
    pub(crate) fn fits(&self, mtu: u32) -> bool {
        self.len() <= mtu || (self.is_gso() && self.gso_fits(mtu))
    }

    /// Whether the header may be written and `headroom` bytes put in front of it, as it is.
    #[inline(always)]
    pub(super) fn is_header_private(&self, headroom: u32) -> bool {
        self.get().cloned() == 0 && self.headroom() >= headroom as usize
    }

    /// Makes it so that the first `len` bytes, which are linear, may be written and `headroom`
    /// bytes be put in front of them. False on lack of memory.
    #[inline(always)]
    pub(crate) fn make_writable(&mut self, len: usize, headroom: u32) -> bool {
        self.is_header_private(headroom) || self.make_private(len, headroom)
    }

    #[cold]
    fn make_private(&mut self, len: usize, headroom: u32) -> bool {
        let Ok(len) = u32::try_from(len) else {
            return false;
        };
        // SAFETY: By the invariant.
        unsafe {
            bindings::skb_cow_head(self.as_raw(), headroom) == 0
                && bindings::skb_ensure_writable(self.as_raw(), len) == 0
        }
    }

    /// Whether a device will add the payload's sum to the transport checksum.
    #[inline]
    pub(crate) fn is_checksum_partial(&self) -> bool {
        self.headers().ip_summed() == CHECKSUM_PARTIAL
    }

    /// Says of a program's datagrams that are one packet until they leave (`UDP_SEGMENT`) what the
    /// host leaves unsaid where the device makes no checksums: that theirs is none yet.
    pub(crate) fn tell_of_missing_sum(&mut self) {
        if self.is_gso() && self.headers().ip_summed() == CHECKSUM_NONE {
            self.headers_mut().set_ip_summed(CHECKSUM_PARTIAL);
        }
    }

    /// Forgets the device's sum of the payload, which writing to it makes wrong.
    #[inline(always)]
    pub(crate) fn forget_checksum(&mut self) {
        let headers = self.headers_mut();
        if headers.ip_summed() == CHECKSUM_COMPLETE {
            headers.set_ip_summed(CHECKSUM_NONE);
        }
    }

    /// Whether this host has sent the packet to itself.
    pub(crate) fn was_sent_here(&self) -> bool {
        // SAFETY: By the invariant.
        unsafe { bindings::rvs_was_sent_here(self.as_raw()) }
    }

    /// Whether the input path would take a received packet of that IP version from its source, if
    /// it looks at nothing else; `is_virtual` if that is a virtual address. The packet has no route
    /// after this.
    pub(crate) fn is_source_good(&mut self, version: u8, is_virtual: bool) -> bool {
        // SAFETY: The packet is live and ours; hooks run under RCU.
        unsafe {
            if version == 4 {
                bindings::rvs_is_source_good(self.as_raw(), is_virtual)
            } else {
                bindings::rvs_is_source6_good(self.as_raw(), is_virtual)
            }
        }
    }

    /// Whether the device that an IPv4 packet came by takes packets which say their way.
    pub(crate) fn takes_source_route(&self) -> bool {
        // SAFETY: The packet is live; hooks run under RCU.
        unsafe { bindings::rvs_takes_source_route(self.as_raw()) }
    }

    /// Routes a received IPv4 packet by its present addresses. False when that fails.
    pub(super) fn route_input(&mut self) -> bool {
        // SAFETY: The packet is live and ours; hooks run under RCU.
        unsafe { bindings::rvs_route_input(self.as_raw()) }
    }

    /// Takes one off the time to live and mends the header's checksum. The header must be writable.
    #[inline(always)]
    fn decrease_ttl(&mut self) {
        let skb = self.get_mut();
        if skb.len.wrapping_sub(skb.data_len) < 20 {
            return;
        }
        // SAFETY: The linear part holds an IP header, and it is writable, says the caller.
        let header = unsafe { &mut *skb.data.cast::<[u8; 20]>() };
        let [.., ttl, _, c0, c1, _, _, _, _, _, _, _, _] = header;
        *ttl = ttl.wrapping_sub(1);
        // RFC 1624: 0x0100 less in the header is 0x0100 more in the checksum.
        let (sum, carry) = u16::from_be_bytes([*c0, *c1]).overflowing_add(0x0100);
        [*c0, *c1] = sum.wrapping_add(u16::from(carry)).to_be_bytes();
    }

    /// Puts a frame's header in front: the last `len` of the bytes.
    ///
    /// # Safety
    ///
    /// All of the bytes fit in front of the packet, and `len` is not more than they are.
    #[inline(always)]
    pub(super) unsafe fn push_stored(&mut self, header: [u64; 2], len: u32) {
        let skb = self.get_mut();
        // SAFETY: The caller vouches for the room; nothing says that it is aligned.
        unsafe {
            skb.data
                .sub(size_of_val(&header))
                .cast::<[u64; 2]>()
                .write_unaligned(header);
            skb.data = skb.data.sub(len as usize);
        }
        skb.len = skb.len.wrapping_add(len);
    }

    /// Takes one off the time to live or hop limit of a packet of that IP version, as a router does.
    /// The header must be writable.
    #[inline(always)]
    pub(crate) fn count_hop(&mut self, version: u8) {
        if version == 4 {
            self.decrease_ttl();
        } else if let Some(hop_limit) = self.head_mut().get_mut(7) {
            *hop_limit = hop_limit.wrapping_sub(1);
        }
    }

    /// Puts an IPv4 header in front of the packet, which has the headroom for it and is writable.
    /// None on lack of memory, or for a packet that is in tunnels already whose segments nobody
    /// could tell.
    #[inline]
    pub(crate) fn push_ipip(&mut self, header: &[u8; 20]) -> Option<()> {
        // SAFETY: By the invariant; the header is of the right length.
        unsafe { bindings::rvs_push_ipip(self.as_raw(), header.as_ptr().cast()) }.then_some(())
    }

    /// Puts `outer`, an IP header without options, and that of a tunnel in front of the packet,
    /// which has the headroom for them and is writable; `inner` is the IANA number of the packet's
    /// IP version, `kind` and `sum` are the netlink family's numbers, `port` is in host order. None
    /// as with [`Skb::push_ipip`], and for a packet whose checksum is no device's to fill in
    /// although it says so.
    pub(crate) fn push_tunnel(
        &mut self,
        net: &Net,
        outer: &[u8],
        inner: u8,
        (kind, sum, port): (u8, u8, u16),
    ) -> Option<()> {
        if outer.len() < 40 && !(outer.len() == 20 && outer.starts_with(&[0x45])) {
            return None;
        }
        let (net, outer) = (net.as_raw(), outer.as_ptr().cast());
        // SAFETY: By the invariant; the header is of the right length.
        unsafe {
            bindings::rvs_push_tunnel(net, self.as_raw(), outer, inner, kind, sum, port.to_be())
        }
        .then_some(())
    }

    /// Makes room for `len` bytes at `offset`: what is before them moves into the headroom, which
    /// must be there. The transport header is then at `transport`. None, and nothing is done, when
    /// what is to move is not in the linear part.
    pub(crate) fn open_gap(&mut self, offset: usize, len: usize, transport: usize) -> Option<()> {
        let is_in_packet = transport <= self.head().len().checked_add(len)?;
        if offset > self.head().len() || !is_in_packet || self.headroom() < len {
            return None;
        }
        // SAFETY: By the invariant; `offset` bytes are linear and `len` are free in front of them.
        unsafe {
            bindings::rvs_open_gap(self.as_raw(), offset as u32, len as u32, transport as u32);
        }
        Some(())
    }

    /// Puts an IP header, perhaps of the other family, in the place of the first `old` bytes, which
    /// are linear. A longer one goes into the headroom, which must be there. None, and nothing is
    /// done, when it is not.
    pub(crate) fn swap_ip_header(&mut self, old: usize, header: &[u8]) -> Option<()> {
        let more = header.len().saturating_sub(old);
        if old > self.head().len() || self.headroom() < more {
            return None;
        }
        let (from, len) = (header.as_ptr().cast(), header.len() as u32);
        // SAFETY: By the invariant; the old header is linear, there is room for the new one, and
        // the pointer is to `len` bytes.
        unsafe { bindings::rvs_swap_ip_header(self.as_raw(), old as u32, from, len) };
        Some(())
    }

    /// Leaves the transport checksum to the device: `field` bytes behind the IP header of `ip_len`
    /// bytes, where `sum` of the pseudo header goes. None when that is not in the linear part.
    pub(crate) fn sum_later(&mut self, ip_len: usize, field: usize, sum: u16) -> Option<()> {
        let at = ip_len.checked_add(field)?;
        *self.head_mut().get_mut(at..)?.first_chunk_mut()? = sum.to_le_bytes();
        // SAFETY: By the invariant.
        unsafe { bindings::skb_partial_csum_set(self.as_raw(), ip_len as u16, field as u16) }
            .then_some(())
    }

    /// Has a TCP packet, whose header is at `transport` and writable, cut into segments of `size`
    /// bytes of payload on its way out. False when that cannot be: its checksum is wrong, or there
    /// is no memory.
    pub(crate) fn cut_into(&mut self, transport: usize, size: u32) -> bool {
        // SAFETY: By the invariant; the kernel checks that the header is in the linear part.
        unsafe { bindings::rvs_cut_into(self.as_raw(), transport as u32, size) }
    }

    /// Bytes that are free in front of the network header.
    #[inline]
    fn headroom(&self) -> usize {
        let skb = self.get();
        (skb.data as usize).wrapping_sub(skb.head as usize)
    }

    /// A packet of this host with these bytes, an IP header of `transport` bytes and what follows
    /// it, and `headroom` bytes in front. None when there is no memory.
    pub(crate) fn with_packet(bytes: &[u8], transport: usize, headroom: u32) -> Option<Self> {
        let len = u32::try_from(bytes.len()).ok()?;
        if transport > bytes.len() {
            return None;
        }
        let from = bytes.as_ptr().cast();
        // SAFETY: The pointer is to `len` bytes, which are copied.
        let skb = unsafe { bindings::rvs_new_packet(from, len, transport as u32, headroom) };
        // INVARIANT: It is new, so nobody else has it.
        Some(Self {
            skb: NonNull::new(skb)?,
            _hook: PhantomData,
        })
    }

    /// Has this host take in a packet that it made: where it has no route by that of `like`, or as if
    /// it came by the same device.
    pub(crate) fn take_in(self, net: &Net, like: Option<&Skb<'_>>) -> Consumed {
        let like = like.map_or(core::ptr::null_mut(), Skb::as_raw);
        // SAFETY: The packet is ours to give away; the other one and the namespace are live.
        unsafe {
            bindings::rvs_take_in(net.as_raw(), self.as_raw(), like);
            Consumed::new()
        }
    }

    /// Whether a received IPv6 packet was put together from fragments.
    pub(crate) fn came_in_fragments_v6(&self) -> bool {
        // SAFETY: By the invariant.
        unsafe { bindings::rvs_frag6_max_size(self.as_raw()) != 0 }
    }

    /// Forgets what was found out about the packet on its way in, as forwarding does.
    #[inline(always)]
    pub(crate) fn forget_input(&mut self) {
        if self.get()._nfct != 0 {
            // SAFETY: By the invariant.
            unsafe { bindings::nf_reset_ct(self.as_raw()) };
        }
        self.forget_checksum();
        // A time of arrival would be taken for a time of departure.
        if self.headers().tstamp_type() == 0 {
            self.get_mut().__bindgen_anon_2.tstamp = 0;
        }
    }

    /// Whether the packet carries a route.
    #[inline(always)]
    fn has_route(&self) -> bool {
        // SAFETY: All members of the union are plain words.
        unsafe { self.get().__bindgen_anon_3.__bindgen_anon_1._skb_refdst & !DST_NOREF != 0 }
    }

    /// Gives the packet the route `dst`, borrowed under RCU.
    ///
    /// # Safety
    ///
    /// `dst` stays alive for an RCU grace period, and the read lock is held until the packet is
    /// sent or the route taken away again.
    #[inline(always)]
    pub(super) unsafe fn borrow_route(&mut self, dst: *const bindings::dst_entry) {
        self.drop_route();
        self.get_mut().__bindgen_anon_3.__bindgen_anon_1._skb_refdst = dst as usize | DST_NOREF;
    }

    /// Takes the packet's route away.
    #[inline(always)]
    pub(super) fn drop_route(&mut self) {
        if self.has_route() {
            // SAFETY: By the invariant.
            unsafe { bindings::skb_dst_drop(self.as_raw()) };
        }
    }

    /// Names the device that the packet leaves by.
    ///
    /// # Safety
    ///
    /// `device` is alive for as long as the packet refers to it: under RCU until it is sent.
    #[inline(always)]
    pub(super) unsafe fn set_device(&mut self, device: *mut bindings::net_device) {
        self.get_mut()
            .__bindgen_anon_1
            .__bindgen_anon_1
            .__bindgen_anon_1
            .dev = device.cast();
    }
}
