// SPDX-License-Identifier: GPL-2.0

//! Lists of a configuration that does not stand still.
//!
//! A long list comes in many buffers, each as of a generation of its own. Who has listened to the
//! events from before the first buffer on knows all changes in between, and can make of it what was
//! there at one moment: the generation that is asked for behind the list. Events are sent before the
//! answer to that comes, so that none is waited for.

use std::collections::HashMap;
use std::net::IpAddr;

use rvs_engine::spec::{DestId, ServiceId};

use crate::generated::cmd;
use crate::{Error, Event, Reply, Request, Transport};

/// Attempts: events may be lost, and what moves up when something ahead of it goes may be missed.
const ATTEMPTS: u32 = 8;

/// What a message of a list is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Service(ServiceId),
    Dest(ServiceId, DestId),
    Local(Option<ServiceId>, IpAddr),
}

impl Subject {
    fn of(reply: &Reply) -> Option<Self> {
        let service = reply.service.as_ref().map(|service| service.id);
        if let Some(address) = reply.laddr {
            return Some(Self::Local(service, address));
        }
        match &reply.dest {
            Some(dest) => Some(Self::Dest(service?, dest.id)),
            None => Some(Self::Service(service?)),
        }
    }

    /// The service that it is or belongs to.
    fn service(&self) -> Option<ServiceId> {
        match *self {
            Self::Service(id) | Self::Dest(id, _) => Some(id),
            Self::Local(id, _) => id,
        }
    }
}

/// Reads lists as they are at one moment. `None` where nobody tells of changes.
pub(crate) fn read(
    kernel: &mut (impl Transport + ?Sized),
    requests: &[Request],
) -> Result<Option<Vec<Vec<Reply>>>, Error> {
    let Some(mut events) = kernel.watch()? else {
        return Ok(None);
    };
    for _ in 0..ATTEMPTS {
        let mut lists = Vec::with_capacity(requests.len());
        for request in requests {
            let mut list = Vec::new();
            let read = kernel.call(request, &mut |reply| {
                list.push(reply);
                Ok(())
            });
            match read {
                Ok(()) | Err(Error::Interrupted { .. }) => lists.push(list),
                Err(error) => return Err(error),
            }
        }
        let mut last = None;
        kernel.call(&Request::ConfigGet, &mut |reply| {
            last = reply.generation;
            Ok(())
        })?;
        let last = last.ok_or(Error::Missing("generation"))?;
        let told = events.pending()?;
        let Some(changes) = changes(&told, last) else {
            continue;
        };
        for (request, list) in requests.iter().zip(&mut lists) {
            merge(request, list, &changes, last);
        }
        if is_whole(requests, &lists) {
            return Ok(Some(lists));
        }
    }
    Err(Error::Interrupted { attempts: ATTEMPTS })
}

/// The changes up to that generation; nothing when some were lost.
fn changes(events: &[Event], last: u32) -> Option<Vec<&Reply>> {
    let mut changes = Vec::new();
    for event in events {
        match event {
            Event::Lost => return None,
            Event::Change(reply) if !is_after(reply.generation, last) => changes.push(&**reply),
            Event::Change(_) => {}
        }
    }
    Some(changes)
}

/// Whether a generation is a later one. They are counted round.
fn is_after(generation: Option<u32>, other: u32) -> bool {
    generation.is_some_and(|generation| (generation.wrapping_sub(other) as i32) > 0)
}

/// Makes of a list what it is at that generation.
fn merge(request: &Request, list: &mut Vec<Reply>, changes: &[&Reply], last: u32) {
    // What was passed when it moved up may come twice; the later one counts.
    let mut seen: Vec<Reply> = Vec::with_capacity(list.len());
    let mut places = HashMap::new();
    for reply in list.drain(..) {
        let at = *places.entry(Subject::of(&reply)).or_insert(seen.len());
        match seen.get_mut(at) {
            Some(earlier) => *earlier = reply,
            None => seen.push(reply),
        }
    }
    *list = seen;
    for change in changes {
        apply(request, list, change);
    }
    for reply in list.iter_mut() {
        reply.generation = Some(last);
    }
    if matches!(request, Request::LocalList(None)) {
        // Those of the namespace come first.
        list.sort_by_key(|reply| reply.service.is_some());
    }
}

fn apply(request: &Request, list: &mut Vec<Reply>, change: &Reply) {
    let Some(subject) = Subject::of(change) else {
        return;
    };
    let (adds, removes) = match change.command {
        cmd::SERVICE_ADD_NTF | cmd::DEST_ADD_NTF | cmd::LADDR_ADD_NTF => (true, false),
        cmd::SERVICE_DEL_NTF | cmd::DEST_DEL_NTF | cmd::LADDR_DEL_NTF => (false, true),
        cmd::SERVICE_SET_NTF | cmd::DEST_SET_NTF | cmd::DEST_DRAINED_NTF => (false, false),
        _ => return,
    };
    // What was read later than the change, or with it, has it already.
    let is_old = |reply: &Reply| {
        let change = change.generation.unwrap_or(0);
        !is_after(reply.generation, change) && reply.generation != Some(change)
    };
    if let (Request::ServiceList, Subject::Dest(id, _)) = (request, subject) {
        let mut services = list.iter_mut();
        let of = services.find(|reply| Subject::of(reply) == Some(Subject::Service(id)));
        let service = of.filter(|reply| is_old(reply));
        let dests = service.and_then(|reply| reply.service.as_mut()?.dests.as_mut());
        if let Some(dests) = dests {
            *dests = dests
                .saturating_add(adds.into())
                .saturating_sub(removes.into());
        }
        return;
    }
    if removes {
        let with_all = matches!(subject, Subject::Service(_));
        list.retain(|reply| {
            let Some(of) = Subject::of(reply) else {
                return true;
            };
            let goes = of == subject || (with_all && of.service() == subject.service());
            !(goes && is_old(reply))
        });
        return;
    }
    let is_listed = match (request, subject) {
        (Request::ServiceList, Subject::Service(_)) => true,
        (Request::DestList(only), Subject::Dest(id, _)) => only.is_none_or(|only| only == id),
        (Request::LocalList(only), Subject::Local(id, _)) => {
            only.is_none_or(|only| Some(only) == id)
        }
        _ => false,
    };
    if !is_listed {
        return;
    }
    let there = list
        .iter()
        .position(|reply| Subject::of(reply) == Some(subject));
    match there {
        Some(at) => {
            if let Some(reply) = list.get_mut(at).filter(|reply| is_old(reply)) {
                *reply = change.clone();
            }
        }
        None if adds => {
            // Behind those of its service.
            let alike = |reply: &Reply| {
                let of = Subject::of(reply);
                of.is_some_and(|of| of.service() == subject.service())
            };
            let last = match subject {
                Subject::Service(_) => None,
                _ => list.iter().rposition(alike),
            };
            list.insert(last.map_or(list.len(), |at| at + 1), change.clone());
        }
        // It is removed by one of the next.
        None => {}
    }
}

/// Whether there are as many dests as their services say, where both were read.
fn is_whole(requests: &[Request], lists: &[Vec<Reply>]) -> bool {
    let mut each = requests.iter().zip(lists);
    let services = each
        .clone()
        .find(|(request, _)| **request == Request::ServiceList);
    let dests = each.find_map(|(request, list)| match request {
        Request::DestList(only) => Some((only, list)),
        _ => None,
    });
    let (Some((_, services)), Some((only, dests))) = (services, dests) else {
        return true;
    };
    let mut counts = HashMap::new();
    for reply in dests {
        let service = reply.service.as_ref();
        *counts
            .entry(service.map(|service| service.id))
            .or_insert(0_u32) += 1;
    }
    services.iter().all(|reply| {
        let Some(service) = &reply.service else {
            return false;
        };
        if only.is_some_and(|only| only != service.id) {
            return true;
        }
        let counted = counts.get(&Some(service.id)).copied().unwrap_or(0);
        service.dests.is_none_or(|dests| dests == counted)
    })
}

#[cfg(test)]
mod tests;
