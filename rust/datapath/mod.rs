// SPDX-License-Identifier: GPL-2.0

//! The way of a packet. Each room uses those below it:
//!
//! ```text
//! places                   the hooks, in the order of the host's path
//! fast                     the fast lane past the host's connection tracking
//! late, tunnel_error       what waited for its mark; errors about our own tunnels
//! balance                  the look-up: known or new
//! icmp, echo               errors and pings;   reuse    a connection that takes no more
//! new_flow, farewell       the first packet of a flow; resets for both ends
//! outgoing, call           a dest's own calls; which call a packet is about
//! forward                  state, count, send
//! track, lease             what the host's connection tracking keeps, at ip_vs's places; who may go past it
//! xmit                     one file a mode, and the way out
//! read, source             packets that are hard to read; where they say they come from
//! answer                   what is dropped, and what its sender is told
//! device                   frames ahead of the stack: the established flows', for programs of XDP
//! gate                     the cheap test
//! seen                     what rules of iptables ask (xt_rvs.ko)
//! ```

mod answer;
mod balance;
mod blame;
mod call;
mod context;
mod device;
mod echo;
mod farewell;
mod fast;
mod forward;
mod gate;
mod icmp;
mod late;
mod lease;
mod new_flow;
mod outgoing;
mod places;
mod read;
mod reuse;
mod seen;
mod source;
mod track;
mod tunnel_error;
mod xmit;

pub(crate) use device::AtDevice;
pub(crate) use farewell::ask;
pub(crate) use places::activate;
pub(crate) use seen::Finder;
