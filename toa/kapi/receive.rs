// SPDX-License-Identifier: GPL-2.0

//! The five things that happen to a connection's socket: it is made, MPTCP makes one of its own
//! above it, it is asked for its peer by `accept` or `getpeername`, and it goes.
//!
//! C sources: `tcp_v4_syn_recv_sock`, `tcp_v6_syn_recv_sock`, `mptcp_sk_clone_init`,
//! `inet_getname`, `inet6_getname`, `inet_sock_destruct`. Every way to a new connection leads
//! through one of the first two: the handshake's last segment, with SYN cookies or without, and
//! Fast Open's first.

use core::marker::PhantomData;

use kernel::{prelude::*, str::CStr};

use super::{
    end::{Address, End},
    name::Name,
    netns::Net,
    probe::{probe, Call, Mechanism, Probe, Probing, Registration},
    rcu::Rcu,
    sock::{Segment, Sock},
};

/// Who wants to know.
pub(crate) trait Receiver: 'static {
    /// What is kept between [`Receiver::opening`] and [`Receiver::opened`].
    type Offer: Copy + 'static;

    /// `segment` is about to make a connection in `net`. `Some`: tell when it has.
    fn opening(net: &Net, segment: &Segment<'_>, rcu: Rcu<'_>) -> Option<Self::Offer>;

    /// `sock` is a new connection, not known to anyone yet. `is_ipv4`: its packets are IPv4.
    fn opened(sock: Sock<'_>, is_ipv4: bool, offer: Self::Offer, rcu: Rcu<'_>);

    /// A connection of MPTCP is about to be made above `sock`, its first path. `Some`: tell
    /// [`Receiver::opened`] when it has.
    fn raising(sock: Sock<'_>, rcu: Rcu<'_>) -> Option<Self::Offer>;

    /// Somebody asks for the peer of `sock`. `Some`: what to say if the kernel is about to say the
    /// first of the two is the second.
    fn asked<'a>(sock: Sock<'_>, rcu: Rcu<'a>) -> Option<(&'a End, &'a End)>;

    /// `sock` goes; it may be of any protocol.
    fn closed(sock: Sock<'_>, rcu: Rcu<'_>);

    /// The registrations of this receiver.
    fn registrations() -> &'static Registrations;
}

/// The static part of a [`Receiver`].
pub(crate) struct Registrations {
    open_v4: Registration,
    open_v6: Registration,
    raise: Registration,
    ask_v4: Registration,
    ask_v6: Registration,
    close: Registration,
}

impl Registrations {
    /// None is registered yet.
    pub(crate) const fn new() -> Self {
        Self {
            open_v4: Registration::new(),
            open_v6: Registration::new(),
            raise: Registration::new(),
            ask_v4: Registration::new(),
            ask_v6: Registration::new(),
            close: Registration::new(),
        }
    }
}

/// Keeps a receiver told. Dropped in order: first nobody is answered any more, last no socket's end
/// goes unseen.
pub(crate) struct Receiving {
    _ask_v4: Probing,
    _ask_v6: Option<Probing>,
    _raise: Option<Probing>,
    _open_v4: Probing,
    _open_v6: Option<Probing>,
    _close: Probing,
}

/// Starts telling `R`. May sleep.
///
/// # Errors
///
/// `EOPNOTSUPP` when the kernel has no probes; `ENOENT` when it has no such function.
pub(crate) fn receive<R: Receiver>(how: Mechanism) -> Result<Receiving> {
    // In the opposite order. A kernel without IPv6 or MPTCP has none of their functions.
    let close = probe::<Close<R>>(how)?;
    let open_v6 = optional(probe::<OpenV6<R>>(how))?;
    let open_v4 = probe::<OpenV4<R>>(how)?;
    let raise = optional(probe::<Raise<R>>(how))?;
    let ask_v6 = optional(probe::<AskV6<R>>(how))?;
    let ask_v4 = probe::<AskV4<R>>(how)?;
    Ok(Receiving {
        _ask_v4: ask_v4,
        _ask_v6: ask_v6,
        _raise: raise,
        _open_v4: open_v4,
        _open_v6: open_v6,
        _close: close,
    })
}

fn optional(probing: Result<Probing>) -> Result<Option<Probing>> {
    match probing {
        Ok(probing) => Ok(Some(probing)),
        Err(error) if error == ENOENT => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is kept while a connection is made.
#[derive(Clone, Copy)]
struct Opening<O> {
    offer: O,
    is_ipv4: bool,
}

/// `tcp_v?_syn_recv_sock(listener, skb, …)` begins.
fn opening<R: Receiver>(call: &Call<'_>, rcu: Rcu<'_>, is_ipv4: bool) -> Option<Opening<R::Offer>> {
    // SAFETY: The second argument of both functions is the segment, whose header TCP has checked.
    let segment = unsafe { Segment::from_address(call.argument::<1>()) };
    // The function for IPv6 listeners hands IPv4 segments to the one for IPv4.
    if segment.is_ipv4() != is_ipv4 {
        return None;
    }
    // SAFETY: The first argument of both functions is the listener.
    let listener = unsafe { Sock::from_address(call.argument::<0>()) }?;
    let offer = R::opening(listener.net(), &segment, rcu)?;
    Some(Opening { offer, is_ipv4 })
}

/// `tcp_v?_syn_recv_sock` returns the new connection, or null.
fn opened<R: Receiver>(value: usize, opening: Opening<R::Offer>, rcu: Rcu<'_>) {
    // SAFETY: The caller of the function gets a reference to the socket.
    if let Some(sock) = unsafe { Sock::from_address(value) } {
        R::opened(sock, opening.is_ipv4, opening.offer, rcu);
    }
}

struct OpenV4<R>(PhantomData<R>);

impl<R: Receiver> Probe for OpenV4<R> {
    const FUNCTION: &'static CStr = c"tcp_v4_syn_recv_sock";
    const HAS_EXIT: bool = true;
    type Data = Opening<R::Offer>;

    fn entry(call: &Call<'_>, rcu: Rcu<'_>) -> Option<Self::Data> {
        opening::<R>(call, rcu, true)
    }

    fn exit(value: usize, data: Self::Data, rcu: Rcu<'_>) {
        opened::<R>(value, data, rcu);
    }

    fn registration() -> &'static Registration {
        &R::registrations().open_v4
    }
}

struct OpenV6<R>(PhantomData<R>);

impl<R: Receiver> Probe for OpenV6<R> {
    const FUNCTION: &'static CStr = c"tcp_v6_syn_recv_sock";
    const HAS_EXIT: bool = true;
    type Data = Opening<R::Offer>;

    fn entry(call: &Call<'_>, rcu: Rcu<'_>) -> Option<Self::Data> {
        opening::<R>(call, rcu, false)
    }

    fn exit(value: usize, data: Self::Data, rcu: Rcu<'_>) {
        opened::<R>(value, data, rcu);
    }

    fn registration() -> &'static Registration {
        &R::registrations().open_v6
    }
}

struct Raise<R>(PhantomData<R>);

impl<R: Receiver> Probe for Raise<R> {
    const FUNCTION: &'static CStr = c"mptcp_sk_clone_init";
    const HAS_EXIT: bool = true;
    type Data = Opening<R::Offer>;

    fn entry(call: &Call<'_>, rcu: Rcu<'_>) -> Option<Self::Data> {
        // SAFETY: The third argument is the first path's socket, which its maker holds.
        let sock = unsafe { Sock::from_address(call.argument::<2>()) }?;
        let offer = R::raising(sock, rcu)?;
        // The new socket has the path's addresses when it is returned.
        let is_ipv4 = false;
        Some(Opening { offer, is_ipv4 })
    }

    fn exit(value: usize, data: Self::Data, rcu: Rcu<'_>) {
        opened::<R>(value, data, rcu);
    }

    fn registration() -> &'static Registration {
        &R::registrations().raise
    }
}

/// What is kept while a name is asked for.
#[derive(Clone, Copy)]
struct Asked {
    /// Where the name is written.
    name: usize,
    /// What packets say the peer is. Both ends by the field, as that is copied in registers.
    peer: Address,
    peer_port: u16,
    /// What is said instead.
    client: Address,
    client_port: u16,
}

/// `inet?_getname(socket, name, peer)` begins; `peer` is 0 for `getsockname`.
#[inline(always)]
fn asked<R: Receiver>(call: &Call<'_>, rcu: Rcu<'_>) -> Option<Asked> {
    if call.argument::<2>() as u32 == 0 {
        return None;
    }
    // SAFETY: The first argument is the `struct socket` that is asked, whose socket is of an
    // internet family and stays while it is.
    let sock = unsafe { Sock::of_socket(call.argument::<0>()) }?;
    let (peer, client) = R::asked(sock, rcu)?;
    Some(Asked {
        name: call.argument::<1>(),
        peer: peer.address,
        peer_port: peer.port,
        client: client.address,
        client_port: client.port,
    })
}

/// `inet?_getname` returns the name's length, or an error.
#[inline(always)]
fn answered(value: usize, asked: &Asked) {
    // The function returns an `int`.
    let Ok(len) = usize::try_from(value as i32) else {
        return;
    };
    // SAFETY: The function has written a name of that length for its caller, who is yet to see it.
    let name = unsafe { Name::from_address(asked.name, len) };
    // The socket may have another peer by now, or a BPF program has said something else.
    if let Some(name) = name.filter(|name| name.says(asked.peer, asked.peer_port)) {
        name.say(asked.client, asked.client_port);
    }
}

struct AskV4<R>(PhantomData<R>);

impl<R: Receiver> Probe for AskV4<R> {
    const FUNCTION: &'static CStr = c"inet_getname";
    const HAS_EXIT: bool = true;
    type Data = Asked;

    #[inline(always)]
    fn entry(call: &Call<'_>, rcu: Rcu<'_>) -> Option<Self::Data> {
        asked::<R>(call, rcu)
    }

    #[inline(always)]
    fn exit(value: usize, data: Self::Data, _rcu: Rcu<'_>) {
        answered(value, &data);
    }

    fn registration() -> &'static Registration {
        &R::registrations().ask_v4
    }
}

struct AskV6<R>(PhantomData<R>);

impl<R: Receiver> Probe for AskV6<R> {
    const FUNCTION: &'static CStr = c"inet6_getname";
    const HAS_EXIT: bool = true;
    type Data = Asked;

    #[inline(always)]
    fn entry(call: &Call<'_>, rcu: Rcu<'_>) -> Option<Self::Data> {
        asked::<R>(call, rcu)
    }

    #[inline(always)]
    fn exit(value: usize, data: Self::Data, _rcu: Rcu<'_>) {
        answered(value, &data);
    }

    fn registration() -> &'static Registration {
        &R::registrations().ask_v6
    }
}

struct Close<R>(PhantomData<R>);

impl<R: Receiver> Probe for Close<R> {
    const FUNCTION: &'static CStr = c"inet_sock_destruct";
    const HAS_EXIT: bool = false;
    type Data = ();

    fn entry(call: &Call<'_>, rcu: Rcu<'_>) -> Option<()> {
        // SAFETY: The argument is the socket that goes.
        if let Some(sock) = unsafe { Sock::from_address(call.argument::<0>()) } {
            R::closed(sock, rcu);
        }
        None
    }

    fn exit(_value: usize, (): (), _rcu: Rcu<'_>) {}

    fn registration() -> &'static Registration {
        &R::registrations().close
    }
}
