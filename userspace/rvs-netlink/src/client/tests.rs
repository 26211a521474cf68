// SPDX-License-Identifier: GPL-2.0

use std::collections::VecDeque;
use std::io;

use netlink_packet_core::{
    NLMSG_DONE, NLMSG_ERROR, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP_INTR, NLM_F_MULTIPART,
};
use proptest::prelude::*;
use rvs_engine::change::Change;
use rvs_engine::sched::SchedulerName;
use rvs_engine::service::ServiceSpec;
use rvs_engine::spec::{Protocol, ServiceId};

use super::*;
use crate::attr::{encode, Attr};
use crate::family::ENOENT;
use crate::generated::FAMILY_NAME;
use crate::generated::MCGRP_EVENTS;
use crate::generated::{cmd, main, service};
use crate::Lists;
use crate::ServiceInfo;

/// Number that the family has in these tests.
const FAMILY: u16 = 33;

/// Answers in advance, a datagram each.
#[derive(Default)]
struct Script {
    answers: VecDeque<Vec<u8>>,
    current: Vec<u8>,
    sent: Vec<Vec<u8>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self {
            answers: answers.into_iter().collect(),
            ..Self::default()
        }
    }
}

impl Datagrams for &mut Script {
    fn send(&mut self, datagram: &[u8]) -> Result<(), Error> {
        self.sent.push(datagram.to_vec());
        Ok(())
    }

    fn receive(&mut self) -> Result<&[u8], Error> {
        let Some(next) = self.answers.pop_front() else {
            return Err(Error::Io("reading", io::ErrorKind::WouldBlock.into()));
        };
        self.current = next;
        Ok(&self.current)
    }
}

fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + payload.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn answer(command: u8, flags: u16, sequence: u32, attributes: &[Attr]) -> Vec<u8> {
    let mut payload = vec![command, 1, 0, 0];
    payload.extend(encode(attributes));
    message(FAMILY, flags, sequence, &payload)
}

fn ack(sequence: u32) -> Vec<u8> {
    message(NLMSG_ERROR, NLM_F_CAPPED, sequence, &[0; 20])
}

fn done(flags: u16, sequence: u32) -> Vec<u8> {
    message(NLMSG_DONE, NLM_F_MULTIPART | flags, sequence, &[0; 4])
}

/// A refusal: the error number, the request's header, the attributes of the extended ack.
fn error(errno: i32, sequence: u32, extack: &[Attr]) -> Vec<u8> {
    let mut payload = (-errno).to_ne_bytes().to_vec();
    payload.extend([0; 16]);
    payload.extend(encode(extack));
    message(
        NLMSG_ERROR,
        NLM_F_CAPPED | NLM_F_ACK_TLVS,
        sequence,
        &payload,
    )
}

/// What the kernel says of the family, to the first request.
fn family() -> Vec<u8> {
    let group = vec![Attr::text(1, MCGRP_EVENTS), Attr::u32(2, 7)];
    let mut id = encode(&[Attr::text(2, FAMILY_NAME)]);
    id.extend([6, 0, 1, 0]);
    id.extend(FAMILY.to_ne_bytes());
    id.extend([0; 2]);
    id.extend(encode(&[Attr::nest(7, vec![Attr::nest(1, group)])]));
    let mut payload = vec![1, 2, 0, 0];
    payload.extend(id);
    let mut datagram = message(16, 0, 1, &payload);
    datagram.extend(ack(1));
    datagram
}

fn web(port: u16) -> ServiceId {
    ServiceId::Virtual {
        protocol: Protocol::Tcp,
        address: [203, 0, 113, 10].into(),
        port,
    }
}

fn listed(port: u16, flags: u16, sequence: u32) -> Vec<u8> {
    let service = Attr::nest(main::SERVICE, ServiceInfo::new(web(port)).attributes());
    answer(cmd::SERVICE_GET, flags, sequence, &[service])
}

fn ports(replies: &[Reply]) -> Vec<u16> {
    let services = replies.iter().filter_map(|reply| reply.service.as_ref());
    services.map(|service| service.id.port()).collect()
}

#[test]
fn the_family_is_found_with_its_group() {
    let mut script = Script::new([family()]);
    let client = Client::over(&mut script).unwrap();
    assert_eq!(client.0.family.id, FAMILY);
    assert_eq!(client.0.family.events, Some(7));
}

#[test]
fn without_the_module() {
    let mut script = Script::new([error(ENOENT, 1, &[])]);
    let result = Client::over(&mut script);
    assert!(matches!(result, Err(Error::NotLoaded)));
}

#[test]
fn a_change_is_sent_and_acknowledged() {
    let mut script = Script::new([family(), ack(2)]);
    let add = Change::ServiceAdd {
        id: web(80),
        spec: ServiceSpec::new(SchedulerName::new("rr").unwrap()),
    };
    let mut client = Client::over(&mut script).unwrap();
    client.execute(&Request::Change(add)).unwrap();
    let sent = script.sent.last().unwrap();
    let nest = vec![
        Attr::u8(service::PROTOCOL, 6),
        Attr::address(service::ADDRESS, [203, 0, 113, 10].into()),
        Attr::u16_be(service::PORT, 80),
        Attr::text(service::SCHEDULER, "rr"),
    ];
    let mut expected = vec![cmd::SERVICE_ADD, 1, 0, 0];
    expected.extend(encode(&[Attr::nest(main::SERVICE, nest)]));
    // NLM_F_REQUEST | NLM_F_ACK
    assert_eq!(*sent, message(FAMILY, 5, 2, &expected));
}

#[test]
fn a_list_comes_in_many_datagrams() {
    let mut second = listed(82, NLM_F_MULTIPART, 2);
    second.extend(done(0, 2));
    let mut first = listed(80, NLM_F_MULTIPART, 2);
    first.extend(listed(81, NLM_F_MULTIPART, 2));
    let mut script = Script::new([family(), first, second]);
    let mut client = Client::over(&mut script).unwrap();
    let replies = client.collect(&Request::ServiceList).unwrap();
    assert_eq!(ports(&replies), [80, 81, 82]);
}

#[test]
fn an_interrupted_list_is_read_again() {
    let interrupted = [listed(80, NLM_F_MULTIPART, 2), done(NLM_F_DUMP_INTR, 2)].concat();
    let whole = [listed(81, NLM_F_MULTIPART, 3), done(0, 3)].concat();
    let mut script = Script::new([family(), interrupted, whole]);
    let mut client = Client::over(&mut script).unwrap();
    let replies = client.collect(&Request::ServiceList).unwrap();
    assert_eq!(ports(&replies), [81]);
}

#[test]
fn answers_to_an_earlier_request_are_skipped() {
    let mut late = listed(79, 0, 1);
    late.extend(ack(1));
    let mut script = Script::new([family(), late, [listed(80, 0, 2), ack(2)].concat()]);
    let mut client = Client::over(&mut script).unwrap();
    let reply = client.one(&Request::ServiceGet(web(80))).unwrap();
    assert_eq!(reply.service.unwrap().id.port(), 80);
}

#[test]
fn a_refusal_has_text_and_attribute() {
    // Headers 20, nest's header 4, protocol 8, address 8.
    let extack = [Attr::text(1, "no service"), Attr::u32(2, 20 + 4 + 8 + 8)];
    let mut script = Script::new([family(), error(3, 2, &extack)]);
    let mut client = Client::over(&mut script).unwrap();
    let result = client.execute(&Request::ServiceGet(web(8080)));
    let Err(Error::Refused(refusal)) = result else {
        panic!("{result:?}");
    };
    assert_eq!(refusal.errno, 3);
    assert_eq!(refusal.to_string(), "no service (service.port = 8080)");
    assert_eq!(refusal.blame.unwrap().to_string(), "service.port = 8080");
}

#[test]
fn a_refusal_that_repeats_the_whole_request() {
    let request = message(FAMILY, 5, 2, &[9; 33]);
    let mut payload = (-22_i32).to_ne_bytes().to_vec();
    payload.extend(request);
    payload.extend(encode(&[Attr::text(1, "no")]));
    let refusal = message(NLMSG_ERROR, NLM_F_ACK_TLVS, 2, &payload);
    let mut script = Script::new([family(), refusal]);
    let mut client = Client::over(&mut script).unwrap();
    let error = client.execute(&Request::ServiceFlush).unwrap_err();
    assert_eq!(error.to_string(), "no");
}

#[test]
fn a_list_that_fails_at_its_end() {
    let mut payload = (-3_i32).to_ne_bytes().to_vec();
    payload.extend(encode(&[Attr::text(1, "gone")]));
    let end = message(NLMSG_DONE, NLM_F_MULTIPART | NLM_F_ACK_TLVS, 2, &payload);
    let mut script = Script::new([family(), end]);
    let mut client = Client::over(&mut script).unwrap();
    let error = client.collect(&Request::DestList(None)).unwrap_err();
    assert_eq!(
        (error.errno(), error.to_string()),
        (Some(3), "gone".to_owned())
    );
}

#[test]
fn a_message_that_lies_about_its_length() {
    let mut lying = listed(80, 0, 2);
    lying[0] = 200;
    let mut script = Script::new([family(), lying]);
    let mut client = Client::over(&mut script).unwrap();
    let result = client.one(&Request::ServiceGet(web(80)));
    assert!(matches!(result, Err(Error::Decode(_))), "{result:?}");
}

#[test]
fn a_sink_that_has_enough_ends_it() {
    let mut script = Script::new([family(), listed(80, NLM_F_MULTIPART, 2)]);
    let mut client = Client::over(&mut script).unwrap();
    let full = || Error::Sink(io::ErrorKind::BrokenPipe.into());
    let result = client.call(&Request::ServiceList, &mut |_| Err(full()));
    assert!(matches!(result, Err(Error::Sink(_))));
}

proptest! {
    #[test]
    fn any_answer_is_one_or_an_error(
        random in proptest::collection::vec(any::<u8>(), 0..200),
        kind in prop_oneof![Just(FAMILY), Just(NLMSG_ERROR), Just(NLMSG_DONE), 0_u16..5],
        flags: u16,
        cut in 0_usize..60,
    ) {
        let mut shaped = message(kind, flags, 2, &random);
        shaped.truncate(shaped.len().saturating_sub(cut));
        let mut script = Script::new([family(), shaped, random]);
        let mut client = Client::over(&mut script).unwrap();
        let _ = client.call(&Request::ConnList(None, Default::default()), &mut |_| Ok(()));
    }
}
