// SPDX-License-Identifier: GPL-2.0

//! Generic netlink: families, requests, replies, dumps and events.
//!
//! A family is a [`Family`] in a `static`, its operations are types that implement [`Doit`] or
//! [`Dumpit`]. The core validates a request against the operation's policy before the handler
//! sees it, strictly: unknown attributes, wrong lengths and trailing bytes are refused there.
//! Handlers read a [`Request`], refuse through its [`Extack`] and answer with a closure that
//! fills a [`Writer`].
//!
//! C header: [`include/net/genetlink.h`](srctree/include/net/genetlink.h)

mod attr;
mod dump;
mod extack;
mod family;
mod message;
mod policy;
mod request;

pub(crate) use attr::{Attr, AttrIter, Attrs};
pub(crate) use dump::{DumpWriter, Dumpit, Progress};
pub(crate) use extack::{Extack, Place, TEXT_MAX};
pub(crate) use family::{Family, Group, Op, Registration};
pub(crate) use message::{attr_size, Full, Writer};
pub(crate) use policy::AttrPolicy;
pub(crate) use request::{Doit, Request};
