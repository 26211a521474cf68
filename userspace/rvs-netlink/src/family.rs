// SPDX-License-Identifier: GPL-2.0

//! The family's numbers in this kernel.

use netlink_packet_core::NLM_F_REQUEST;
use netlink_packet_generic::ctrl::nlas::{GenlCtrlAttrs, McastGrpAttrs};
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::GenlMessage;

use netlink_sys::protocols::NETLINK_GENERIC;

use crate::generated::MCGRP_EVENTS;
use crate::{Datagrams, Error, Exchange, NetlinkSocket, Replies};

/// The family in this kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    pub(crate) id: u16,
    pub(crate) events: Option<u32>,
}

impl Family {
    /// Asks the kernel for the family's numbers.
    pub(crate) fn resolve<D: Datagrams>(
        exchange: &mut Exchange<D>,
        name: &str,
    ) -> Result<Self, Error> {
        let question = GenlMessage::from_payload(GenlCtrl {
            cmd: GenlCtrlCmd::GetFamily,
            nlas: vec![GenlCtrlAttrs::FamilyName(name.to_owned())],
        });
        let mut found = None;
        let asked = exchange.run(
            question,
            Replies::One,
            NLM_F_REQUEST,
            &mut |answer: GenlMessage<GenlCtrl>| {
                found = Self::from_attributes(&answer.payload.nlas);
                Ok(())
            },
        );
        match asked {
            Err(Error::Refused(refusal)) if refusal.errno == ENOENT => Err(Error::NotLoaded),
            Err(error) => Err(error),
            Ok(()) => found.ok_or(Error::Missing("family id")),
        }
    }

    fn from_attributes(attributes: &[GenlCtrlAttrs]) -> Option<Self> {
        let mut id = None;
        let mut events = None;
        for attribute in attributes {
            match attribute {
                GenlCtrlAttrs::FamilyId(number) => id = Some(*number),
                GenlCtrlAttrs::McastGroups(groups) => {
                    events = groups.iter().find_map(|group| group_id(group));
                }
                _ => {}
            }
        }
        Some(Self { id: id?, events })
    }
}

/// The number of the family `IPVS`, which is RVS's where it speaks that dialect; 0 where there is none.
pub fn number_of_ipvs() -> Result<u16, Error> {
    let mut exchange = Exchange::new(NetlinkSocket::open(NETLINK_GENERIC)?);
    // Asked for it by its name, the kernel would load ip_vs.
    let all = GenlMessage::from_payload(GenlCtrl {
        cmd: GenlCtrlCmd::GetFamily,
        nlas: Vec::new(),
    });
    let is_ipvs =
        |nla: &GenlCtrlAttrs| matches!(nla, GenlCtrlAttrs::FamilyName(name) if name == "IPVS");
    let mut number = 0;
    exchange.run(
        all,
        Replies::Dump,
        NLM_F_REQUEST,
        &mut |answer: GenlMessage<GenlCtrl>| {
            if answer.payload.nlas.iter().any(is_ipvs) {
                let family = Family::from_attributes(&answer.payload.nlas);
                number = family.ok_or(Error::Missing("family id"))?.id;
            }
            Ok(())
        },
    )?;
    Ok(number)
}

/// The number of the group, if it is that of the events.
fn group_id(group: &[McastGrpAttrs]) -> Option<u32> {
    let named = |a: &McastGrpAttrs| matches!(a, McastGrpAttrs::Name(name) if name == MCGRP_EVENTS);
    group.iter().find(|a| named(a))?;
    group.iter().find_map(|a| match a {
        McastGrpAttrs::Id(id) => Some(*id),
        McastGrpAttrs::Name(_) => None,
    })
}

/// What a family is told by that is not there.
pub(crate) const ENOENT: i32 = rustix::io::Errno::NOENT.raw_os_error();
