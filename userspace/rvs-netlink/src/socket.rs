// SPDX-License-Identifier: GPL-2.0

//! A blocking netlink socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::{Socket, SocketAddr};
use rustix::net::sockopt;

use crate::Error;

/// More than the kernel puts into one message of a dump (`netlink_dump` allocates 32 KiB at most)
/// or into one reply.
const RECEIVE_BYTES: usize = 64 * 1024;

/// Events queue up to this many bytes before they are lost.
const EVENT_QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// `MSG_TRUNC`: `recv` returns the real length, also when the buffer is too small.
const MSG_TRUNC: i32 = 0x20;

/// Sends and receives whole datagrams; what an [`Exchange`](crate::Exchange) runs over.
pub trait Datagrams {
    /// Sends one datagram.
    fn send(&mut self, datagram: &[u8]) -> Result<(), Error>;

    /// Waits for one and returns it.
    fn receive(&mut self) -> Result<&[u8], Error>;
}

/// A netlink socket of the current network namespace.
pub struct NetlinkSocket {
    socket: Socket,
    buffer: Vec<u8>,
}

impl NetlinkSocket {
    /// Opens a socket to a netlink protocol, for instance `NETLINK_GENERIC`.
    pub fn open(protocol: isize) -> Result<Self, Error> {
        let socket = Socket::new(protocol).map_err(|e| Error::Io("opening a netlink socket", e))?;
        let options = || {
            // The text of a refusal, and not the whole request with it.
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            socket.set_netlink_get_strict_chk(true)
        };
        options().map_err(|e| Error::Io("setting a netlink socket up", e))?;
        Ok(Self {
            socket,
            buffer: Vec::with_capacity(RECEIVE_BYTES),
        })
    }

    /// Joins a multicast group.
    pub fn subscribe(&mut self, group: u32) -> Result<(), Error> {
        let failed = |e| Error::Io("joining the group of events", e);
        self.socket.bind_auto().map_err(failed)?;
        // A larger queue makes lost events rarer; where it is refused they are told of as lost.
        let _ = sockopt::set_socket_recv_buffer_size_force(&self.socket, EVENT_QUEUE_BYTES);
        self.socket.add_membership(group).map_err(failed)
    }

    /// Makes the socket take a datagram of `size` bytes: netlink refuses what is over the send
    /// buffer.
    fn make_room(&self, size: usize) {
        let enough = |wanted| matches!(sockopt::socket_send_buffer_size(&self.socket), Ok(have) if have >= wanted);
        // The kernel keeps 32 bytes of it for itself.
        let wanted = size.saturating_add(1024);
        if enough(wanted) {
            return;
        }
        // Past net.core.wmem_max with CAP_NET_ADMIN, up to it without. Sending tells if it sufficed.
        if sockopt::set_socket_send_buffer_size_force(&self.socket, wanted).is_err() {
            let _ = sockopt::set_socket_send_buffer_size(&self.socket, wanted);
        }
    }
}

impl Datagrams for NetlinkSocket {
    fn send(&mut self, datagram: &[u8]) -> Result<(), Error> {
        self.make_room(datagram.len());
        let kernel = SocketAddr::new(0, 0);
        match retried(|| self.socket.send_to(datagram, &kernel, 0)) {
            Ok(_) => Ok(()),
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) => {
                Err(Error::TooLarge {
                    size: datagram.len(),
                })
            }
            Err(e) => Err(Error::Io("sending to the kernel", e)),
        }
    }

    fn receive(&mut self) -> Result<&[u8], Error> {
        loop {
            self.buffer.clear();
            let buffer = &mut self.buffer;
            let (length, sender) = match retried(|| self.socket.recv_from(buffer, MSG_TRUNC)) {
                Ok(received) => received,
                Err(e) if e.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {
                    return Err(Error::Overrun);
                }
                Err(e) => return Err(Error::Io("reading from the kernel", e)),
            };
            // Any process may send to a netlink socket; only the kernel has port 0.
            if sender.port_number() != 0 {
                continue;
            }
            if length > self.buffer.len() {
                let text = format!("{length} bytes in one message, over {RECEIVE_BYTES}");
                return Err(Error::Decode(text.into()));
            }
            return Ok(&self.buffer);
        }
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Makes a system call again when a signal interrupted it.
fn retried<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
