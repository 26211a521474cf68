// SPDX-License-Identifier: GPL-2.0

//! Sockets of our own that send datagrams to a group of hosts, or take those of one.
//!
//! C header: [`include/linux/net.h`](srctree/include/linux/net.h)

use core::{
    net::{IpAddr, SocketAddr},
    ptr::{self, NonNull},
};

use kernel::{
    error::{code::EAGAIN, to_result},
    ffi::c_void,
    prelude::*,
};

use super::{netns::Net, work::Worker};
use crate::bindings;

/// A group, by which device it is reached, and how.
#[derive(Clone, Copy)]
pub(crate) struct Group {
    /// Its address and port.
    pub(crate) end: SocketAddr,
    /// Index of the device.
    pub(crate) device: u32,
    /// Hops that datagrams may go.
    pub(crate) ttl: u8,
    /// Bytes that may wait in the socket; 0 for what the host has.
    pub(crate) buffer: u32,
}

impl Group {
    fn to_raw(self) -> bindings::rvs_group {
        let (version, address) = match self.end.ip() {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                (4, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            }
            IpAddr::V6(v6) => (6, v6.octets()),
        };
        bindings::rvs_group {
            version,
            ttl: self.ttl,
            port: self.end.port().to_be(),
            address,
            device: i32::try_from(self.device).unwrap_or(0),
            buffer: i32::try_from(self.buffer).unwrap_or(i32::MAX),
        }
    }
}

/// A socket.
///
/// # Invariants
///
/// `socket` is open, and this the only one that uses it.
struct Socket {
    socket: NonNull<bindings::rvs_group_socket>,
    group: bindings::rvs_group,
}

// SAFETY: Sockets may be used from any thread.
unsafe impl Send for Socket {}

impl Socket {
    fn open(
        net: &Net,
        group: Group,
        ready: bindings::rvs_ready_t,
        whose: *mut c_void,
    ) -> Result<Self> {
        let (group, mut socket) = (group.to_raw(), ptr::null_mut());
        // SAFETY: The namespace is alive, both pointers are good for this call, and what `ready` is
        // told with is the caller's to vouch for.
        to_result(unsafe {
            bindings::rvs_group_open(
                net.as_raw(),
                &raw const group,
                ready,
                whose,
                &raw mut socket,
            )
        })?;
        let socket = NonNull::new(socket).ok_or(EINVAL)?;
        Ok(Self { socket, group })
    }

    /// Sends a datagram there. False when there is no room for it now.
    fn send(&self, to: &bindings::rvs_group, datagram: &[u8]) -> Result<bool> {
        // SAFETY: By the invariant; the datagram can be read for its length.
        let sent = unsafe {
            bindings::rvs_group_send(
                self.socket.as_ptr(),
                ptr::from_ref(to),
                datagram.as_ptr().cast(),
                datagram.len(),
            )
        };
        went(sent)
    }

    /// Takes a datagram, see [`Receiver::receive`].
    fn receive(&self, room: &mut [u8]) -> Result<Option<(usize, SocketAddr)>> {
        let mut from = self.group;
        // SAFETY: By the invariant; the room can be written to for its length, and `from` too.
        let length = unsafe {
            bindings::rvs_group_receive(
                self.socket.as_ptr(),
                room.as_mut_ptr().cast(),
                room.len(),
                &raw mut from,
            )
        };
        match usize::try_from(length) {
            Ok(length) => Ok(Some((length, end_of(&from)))),
            Err(_) => match to_result(length) {
                Err(error) if error != EAGAIN => Err(error),
                _ => Ok(None),
            },
        }
    }
}

/// What C says of something that was sent: whether there was room for it.
fn went(sent: i32) -> Result<bool> {
    match to_result(sent.min(0)) {
        Err(error) if error == EAGAIN => Ok(false),
        sent => sent.map(|()| true),
    }
}

fn end_of(from: &bindings::rvs_group) -> SocketAddr {
    let [a, b, c, d, ..] = from.address;
    let address = match from.version {
        6 => IpAddr::from(from.address),
        _ => IpAddr::from([a, b, c, d]),
    };
    SocketAddr::new(address, u16::from_be(from.port))
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: By the invariant. It sleeps, as whoever has one may.
        unsafe { bindings::rvs_group_close(self.socket.as_ptr()) };
    }
}

/// Datagrams that are sent together at most.
pub(crate) const ALIKE_MAX: usize = bindings::RVS_ALIKE_MAX as usize;

/// Sends datagrams to a group. Made, used and dropped where one may sleep, and gone before its
/// namespace is.
pub(crate) struct Sender(Socket);

impl Sender {
    /// One for a group. Its datagrams do not come back to this host.
    pub(crate) fn open(net: &Net, group: Group) -> Result<Self> {
        Ok(Self(Socket::open(net, group, None, ptr::null_mut())?))
    }

    /// Sends one. False when there is no room for it now.
    pub(crate) fn send(&self, datagram: &[u8]) -> Result<bool> {
        self.0.send(&self.0.group, datagram)
    }

    /// Sends some of one length, of which the last may be shorter. False when there is no room for them
    /// now. An error where they cannot be sent together.
    pub(crate) fn send_alike(&self, datagrams: &[&[u8]]) -> Result<bool> {
        let length = |datagram: Option<&&[u8]>| {
            let len = datagram.map_or(0, |bytes| bytes.len());
            u16::try_from(len).map_err(|_| EINVAL)
        };
        let (len, last) = (length(datagrams.first())?, length(datagrams.last())?);
        let alike = datagrams.iter().rev().skip(1);
        let fits = last <= len && alike.clone().all(|bytes| bytes.len() == usize::from(len));
        if !fits || datagrams.len() > ALIKE_MAX {
            return Err(EINVAL);
        }
        let mut data = [ptr::null::<c_void>(); ALIKE_MAX];
        for (pointer, bytes) in data.iter_mut().zip(datagrams) {
            *pointer = bytes.as_ptr().cast();
        }
        // SAFETY: By the invariant of the socket; all datagrams can be read for the length that is said.
        let sent = unsafe {
            bindings::rvs_group_send_alike(
                self.0.socket.as_ptr(),
                ptr::from_ref(&self.0.group),
                data.as_ptr(),
                datagrams.len() as u32,
                len,
                last,
            )
        };
        went(sent)
    }

    /// Takes one that somebody has sent back; see [`Receiver::receive`].
    pub(crate) fn receive(&self, room: &mut [u8]) -> Result<Option<(usize, SocketAddr)>> {
        self.0.receive(room)
    }
}

/// Takes the datagrams of a group. As [`Sender`].
pub(crate) struct Receiver(Socket);

impl Receiver {
    /// One of a group, which kicks `worker` when it has something.
    ///
    /// # Safety
    ///
    /// The worker is started, and stopped and gone only after this has been dropped.
    pub(crate) unsafe fn open(net: &Net, group: Group, worker: &Worker) -> Result<Self> {
        let worker = ptr::from_ref(worker).cast_mut().cast();
        Ok(Self(Socket::open(net, group, Some(is_ready), worker)?))
    }

    /// Takes one. Its length, which is more than the room where it did not fit, and who sent it; none
    /// when none waits.
    pub(crate) fn receive(&self, room: &mut [u8]) -> Result<Option<(usize, SocketAddr)>> {
        self.0.receive(room)
    }

    /// Sends one to a host by the group's device. False when there is no room for it now.
    pub(crate) fn send_to(&self, end: SocketAddr, datagram: &[u8]) -> Result<bool> {
        let device = u32::try_from(self.0.group.device).unwrap_or(0);
        let to = Group {
            end,
            device,
            ttl: 0,
            buffer: 0,
        };
        self.0.send(&to.to_raw(), datagram)
    }
}

/// # Safety
///
/// `whose` is a worker that is started.
unsafe extern "C" fn is_ready(whose: *mut c_void) {
    // SAFETY: The caller's: what `Receiver::open` was given.
    unsafe { &*whose.cast::<Worker>() }.kick(0);
}
