// SPDX-License-Identifier: GPL-2.0

//! What ICMP errors say of paths: of packets to which something was added on the way.

use crate::{
    datapath::{context::Context, gate::Balanced},
    engine::{
        family::{IpHeader, Tuple},
        path,
        toa::insert::Told,
        wire::{icmp::Report, IcmpError, IcmpFamily},
    },
    kapi::{icmp, skb::Skb},
    table::{NatConn, Stage},
};

/// How many bytes were put into the client's packet that an error is about.
pub(super) fn added<F: Balanced, C: Tuple, D: Tuple>(
    nat: &NatConn<C, D>,
    skb: &Skb<'_>,
    error: &IcmpError<F>,
) -> usize {
    let tells = matches!(
        nat.stage_besides(),
        Stage::Opening | Stage::Telling | Stage::Always
    );
    let option = Told::new(nat.toa_kind(), &nat.client_tuple());
    path::added(skb.head(), error, &option, tells)
}

/// The MTU that a client is told of, if not what the error about its packet says.
///
/// It is less by what was put into the packet, and an IPv6 client goes no lower than what every path
/// takes. So the host's routes learn of the path as well, as they do of a tunnel's: what comes then
/// is cut, or has the option go ahead.
pub(super) fn told<F: Balanced>(
    cx: Context<'_>,
    nat: &NatConn<F::Tuple>,
    skb: &mut Skb<'_>,
    error: &IcmpError<F>,
) -> Option<u32> {
    let Report::TooBig(mtu) = error.report else {
        return None;
    };
    let added = added(nat, skb, error);
    if added == 0 {
        return None;
    }
    learn(cx, skb, error);
    Some(path::told(mtu, added, F::MTU_MIN))
}

/// Has the host's routes learn what an error says of a path, if it says that and it can be.
pub(super) fn learn<F: IcmpFamily>(cx: Context<'_>, skb: &mut Skb<'_>, error: &IcmpError<F>) {
    let Report::TooBig(mtu) = error.report else {
        return;
    };
    if error.inner.total_len() > mtu as usize && mtu >= F::MTU_MIN {
        icmp::learn_path(skb, cx.netns.net(), error.inner_offset, mtu);
    }
}
