// SPDX-License-Identifier: GPL-2.0

use std::cell::RefCell;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;
use crate::{Config, DestInfo, Lists, ServiceInfo, Watch};

/// A change: of the dest of that number in the service of that number, or of the service as a whole.
#[derive(Clone, Copy, Debug)]
enum Move {
    Dest(u16, u8, u32),
    NoDest(u16, u8),
    Service(u16),
    NoService(u16),
    Local(u16, u8),
}

/// A service's port, its dests with their weights, and its local addresses.
type Kept = (u16, Vec<(u8, u32)>, Vec<u8>);

/// A kernel that changes while it is read: after every few messages comes the next change.
struct Restless {
    services: Vec<Kept>,
    generation: u32,
    moves: Vec<Move>,
    told: Rc<RefCell<Vec<Event>>>,
}

struct Ear(Rc<RefCell<Vec<Event>>>);

impl Watch for Ear {
    fn pending(&mut self) -> Result<Vec<Event>, Error> {
        Ok(self.0.take())
    }
}

fn service_id(port: u16) -> ServiceId {
    ServiceId::Virtual {
        protocol: rvs_engine::spec::Protocol::Tcp,
        address: [203, 0, 113, 10].into(),
        port,
    }
}

fn dest_id(number: u8) -> DestId {
    DestId {
        address: [192, 0, 2, number].into(),
        port: 80,
    }
}

fn local(number: u8) -> IpAddr {
    [198, 51, 100, number].into()
}

impl Restless {
    fn service(&self, port: u16, dests: &[(u8, u32)], command: u8) -> Reply {
        Reply {
            command,
            generation: Some(self.generation),
            service: Some(ServiceInfo {
                dests: u32::try_from(dests.len()).ok(),
                ..ServiceInfo::new(service_id(port))
            }),
            ..Reply::default()
        }
    }

    fn dest(&self, port: u16, (number, weight): (u8, u32), command: u8) -> Reply {
        Reply {
            command,
            generation: Some(self.generation),
            service: Some(ServiceInfo::new(service_id(port))),
            dest: Some(DestInfo {
                weight: Some(weight),
                ..DestInfo::new(dest_id(number))
            }),
            ..Reply::default()
        }
    }

    fn local(&self, port: u16, number: u8, command: u8) -> Reply {
        Reply {
            command,
            generation: Some(self.generation),
            service: Some(ServiceInfo::new(service_id(port))),
            laddr: Some(local(number)),
            ..Reply::default()
        }
    }

    fn list(&self, request: &Request) -> Vec<Reply> {
        let services = self.services.iter();
        match request {
            Request::ServiceList => services
                .map(|(port, dests, _)| self.service(*port, dests, cmd::SERVICE_GET))
                .collect(),
            Request::DestList(_) => services
                .flat_map(|(port, dests, _)| {
                    let dests = dests.iter();
                    dests.map(|dest| self.dest(*port, *dest, cmd::DEST_GET))
                })
                .collect(),
            _ => services
                .flat_map(|(port, _, locals)| {
                    let locals = locals.iter();
                    locals.map(|number| self.local(*port, *number, cmd::LADDR_GET))
                })
                .collect(),
        }
    }

    fn step(&mut self) {
        let Some(next) = self.moves.pop() else {
            return;
        };
        let ports: Vec<u16> = self.services.iter().map(|(port, ..)| *port).collect();
        let at = |port| ports.iter().position(|other| *other == port);
        self.generation = self.generation.wrapping_add(1);
        let event = match next {
            Move::Service(port) if at(port).is_none() => {
                self.services.push((port, Vec::new(), Vec::new()));
                self.service(port, &[], cmd::SERVICE_ADD_NTF)
            }
            Move::NoService(port) if at(port).is_some() => {
                let (port, dests, _) = self.services.remove(at(port).unwrap());
                self.service(port, &dests, cmd::SERVICE_DEL_NTF)
            }
            Move::Dest(port, number, weight) if at(port).is_some() => {
                let dests = &mut self.services[at(port).unwrap()].1;
                let there = dests.iter_mut().find(|(other, _)| *other == number);
                let command = match there {
                    Some(dest) => {
                        dest.1 = weight;
                        cmd::DEST_SET_NTF
                    }
                    None => {
                        dests.push((number, weight));
                        cmd::DEST_ADD_NTF
                    }
                };
                self.dest(port, (number, weight), command)
            }
            Move::NoDest(port, number) if at(port).is_some() => {
                let dests = &mut self.services[at(port).unwrap()].1;
                let Some(there) = dests.iter().position(|(other, _)| *other == number) else {
                    return;
                };
                let dest = dests.remove(there);
                self.dest(port, dest, cmd::DEST_DEL_NTF)
            }
            Move::Local(port, number) if at(port).is_some() => {
                let locals = &mut self.services[at(port).unwrap()].2;
                if locals.contains(&number) {
                    return;
                }
                locals.push(number);
                self.local(port, number, cmd::LADDR_ADD_NTF)
            }
            _ => return,
        };
        self.told.borrow_mut().push(Event::Change(Box::new(event)));
    }
}

impl Transport for Restless {
    fn call(
        &mut self,
        request: &Request,
        sink: &mut dyn FnMut(Reply) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if *request == Request::ConfigGet {
            return sink(Reply {
                generation: Some(self.generation),
                config: Some(Config::default()),
                ..Reply::default()
            });
        }
        // Where it is, by what was sent last: as the module knows it.
        let began = self.generation;
        let mut last = None;
        loop {
            let list = self.list(request);
            let next = match last {
                None => 0,
                Some(subject) => {
                    let there = list.iter().position(|r| Subject::of(r) == Some(subject));
                    // What was sent last has gone: some come again.
                    there.map_or(0, |at| at + 1)
                }
            };
            for reply in list.into_iter().skip(next).take(2) {
                last = Subject::of(&reply);
                sink(reply)?;
            }
            // Nothing is left of it, or it has come to its end.
            let end = self.list(request).last().and_then(Subject::of);
            if end.is_none() || last == end {
                break;
            }
            self.step();
        }
        if self.generation != began {
            return Err(Error::Interrupted { attempts: 1 });
        }
        Ok(())
    }

    fn watch(&mut self) -> Result<Option<Box<dyn Watch>>, Error> {
        self.told.take();
        Ok(Some(Box::new(Ear(self.told.clone()))))
    }
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (1_u16..4, 1_u8..9, 0_u32..5).prop_map(|(p, n, w)| Move::Dest(p, n, w)),
        2 => (1_u16..4, 1_u8..9).prop_map(|(p, n)| Move::NoDest(p, n)),
        1 => (1_u16..4).prop_map(Move::Service),
        1 => (1_u16..4).prop_map(Move::NoService),
        1 => (1_u16..4, 1_u8..5).prop_map(|(p, n)| Move::Local(p, n)),
    ]
}

/// What a list says, without its order and without what messages of another kind have besides.
fn said(list: &[Reply]) -> Vec<String> {
    let mut said: Vec<_> = list
        .iter()
        .map(|reply| {
            let service = reply.service.as_ref();
            let dest = reply.dest.as_ref();
            let dests = service.filter(|_| dest.is_none() && reply.laddr.is_none());
            let dests = dests.and_then(|service| service.dests);
            let weight = dest.and_then(|dest| dest.weight);
            format!("{:?} {dests:?} {weight:?}", Subject::of(reply))
        })
        .collect();
    said.sort();
    said
}

proptest! {
    #[test]
    fn lists_are_those_of_one_moment(
        start in proptest::collection::vec(moves(), 0..60),
        moves in proptest::collection::vec(moves(), 0..60),
        generation in prop_oneof![Just(1_u32), Just(u32::MAX - 20)],
    ) {
        let mut kernel = Restless {
            services: (1..4).map(|port| (port, Vec::new(), Vec::new())).collect(),
            generation,
            moves: start,
            told: Rc::default(),
        };
        while !kernel.moves.is_empty() {
            kernel.step();
        }
        kernel.moves = moves;
        let requests = [Request::ServiceList, Request::DestList(None), Request::LocalList(None)];
        let lists = kernel.at_one_moment(&requests).unwrap().unwrap();
        for (request, list) in requests.iter().zip(&lists) {
            prop_assert_eq!(said(list), said(&kernel.list(request)));
            prop_assert!(list.iter().all(|r| r.generation == Some(kernel.generation)));
        }
    }
}
