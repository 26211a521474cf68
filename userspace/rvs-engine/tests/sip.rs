// SPDX-License-Identifier: GPL-2.0

//! Which call a datagram of SIP is about.

use std::collections::HashSet;

use proptest::prelude::*;
use rvs_engine::hash::Key;
use rvs_engine::persistence::{Engine, Persistence, Whom};
use rvs_engine::sip::{call_id, is_call_id, CALL_ID_MAX};

fn text(message: &[u8]) -> Option<&str> {
    call_id(message).and_then(|id| std::str::from_utf8(id).ok())
}

/// A request that has this as its Call-ID's line.
fn request(line: &str) -> Vec<u8> {
    format!(
        "INVITE sip:bob@biloxi.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds\r\n\
         {line}CSeq: 314159 INVITE\r\n\r\nv=0\r\n"
    )
    .into_bytes()
}

#[test]
fn what_is_found() {
    let id = "a84b4c76e66710@pc33.atlanta.com";
    for line in [
        "Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n",
        "CALL-id:a84b4c76e66710@pc33.atlanta.com\r\n",
        "i: a84b4c76e66710@pc33.atlanta.com\r\n",
        "I :\ta84b4c76e66710@pc33.atlanta.com \t\r\n",
        "Call-ID  \t:  a84b4c76e66710@pc33.atlanta.com\n",
        "Call-ID: a84b4c76e66710@pc33.atlanta.com\r",
        "Call-ID:\r\n  a84b4c76e66710@pc33.atlanta.com\r\n",
        "Call-ID: \r\n \n\ta84b4c76e66710@pc33.atlanta.com\r\n",
        "Subject: goes\r\n Call-ID: on\r\nCall-ID: a84b4c76e66710@pc33.atlanta.com\r\n",
        "Call-Info: x\r\nIx: y\r\nCall-IDs: z\r\nCall-ID: a84b4c76e66710@pc33.atlanta.com\r\n",
        "Call-ID: a84b4c76e66710@pc33.atlanta.com\r\nCall-ID: another\r\n",
    ] {
        assert_eq!(text(&request(line)), Some(id), "{line:?}");
        let mut behind = b"\r\n\r\n".to_vec();
        behind.extend(request(line));
        assert_eq!(text(&behind), Some(id), "{line:?} behind empty lines");
    }
    let all = "-.!%*_+`'~()<>:\\\"/[]?{}";
    let line = format!("Call-ID: {all}@{all}\r\n");
    assert_eq!(text(&request(&line)), Some(&*format!("{all}@{all}")));
    let answer = b"SIP/2.0 200 OK\nf: x\ni:1\n\n";
    assert_eq!(text(answer), Some("1"));
}

#[test]
fn what_is_none() {
    for line in [
        "",
        "Call-ID:\r\n",
        "Call-ID\r\n",
        "Call-ID: \r\n\r\n",
        "Call-ID: a b\r\n",
        "Call-ID: a@\r\n",
        "Call-ID: @b\r\n",
        "Call-ID: a@b@c\r\n",
        "Call-ID: a#b\r\n",
        "Call-ID: a\0b\r\n",
        "Call-ID: \u{e4}\r\n",
        // The header's first one counts.
        "Call-ID: a,b\r\nCall-ID: good\r\n",
        // What is behind the headers is none.
        "\r\nCall-ID: good\r\n",
    ] {
        assert_eq!(text(&request(line)), None, "{line:?}");
    }
    for message in [
        &b""[..],
        b"\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"\0",
        b"Call-ID: good\r\n",
        b"INVITE\r\nCall-ID: good",
        b"INVITE\r\nCall-ID: good ",
        b"INVITE\r\nCall-ID",
        b"INVITE\r\nCall-ID:",
        b"INVITE\r\nCall-ID: \r\n",
        b"INVITE\r\nCall-ID: \r\n ",
        b"INVITE\r\ni",
    ] {
        assert_eq!(text(message), None, "{message:?}");
    }
}

#[test]
fn how_long_it_may_be() {
    let of = |len: usize| request(&format!("Call-ID: {}\r\n", "a".repeat(len)));
    assert_eq!(text(&of(CALL_ID_MAX)).map(str::len), Some(255));
    assert_eq!(text(&of(CALL_ID_MAX + 1)), None);
    let halves =
        |a: usize, b: usize| request(&format!("i:{}@{}\r\n", "a".repeat(a), "b".repeat(b)));
    assert_eq!(text(&halves(200, 54)).map(str::len), Some(255));
    assert_eq!(text(&halves(200, 55)), None);
}

#[test]
fn calls_stay_by_network_and_id() {
    let keys = [Key::new(1, 2), Key::new(3, 4)];
    let rule = |engine| Persistence {
        seconds: 60,
        prefix: 24,
        quiesced: false,
        engine,
    };
    let (near, far) = (
        "198.51.100.7".parse().unwrap(),
        "198.51.101.7".parse().unwrap(),
    );
    let sip = rule(Engine::Sip);
    let mut places = HashSet::new();
    for (client, call) in [(near, "a@b"), (near, "a@c"), (near, "a"), (far, "a@b")] {
        assert!(places.insert(sip.whom(client, call.as_bytes()).place(&keys)));
    }
    let same = sip.whom("198.51.100.99".parse().unwrap(), b"a@b");
    assert!(places.contains(&same.place(&keys)));
    let other = [Key::new(1, 2), Key::new(3, 5)];
    assert!(!places.contains(&same.place(&other)));
    // Without the engine the network stays, whatever the datagram says.
    let network = rule(Engine::Off).whom(near, b"a@b");
    assert_eq!(
        network,
        Whom {
            network: network.network,
            call: &[]
        }
    );
    assert_eq!(network.place(&keys), network.network);
}

proptest! {
    #[test]
    fn whatever_comes(message in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Some(id) = call_id(&message) {
            prop_assert!(is_call_id(id));
        }
    }

    /// Of bytes that mean something here.
    #[test]
    fn whatever_nearly_fits(
        parts in prop::collection::vec(
            prop::sample::select(vec!["\r", "\n", " ", "\t", ":", "Call-ID", "i", "@", "a", "#", "\0", "INVITE"]),
            0..40,
        ),
    ) {
        let message = parts.concat();
        if let Some(id) = call_id(message.as_bytes()) {
            prop_assert!(is_call_id(id));
            let id = std::str::from_utf8(id).unwrap();
            prop_assert!(message.contains(id));
        }
    }

    #[test]
    fn what_is_said_is_read(id in "[a-zA-Z0-9.+/-]{1,120}(@[a-z0-9.]{1,120})?", more in "[ -~]{0,80}") {
        let message = request(&format!("X: {more}\r\nCall-ID: {id}\r\n"));
        prop_assert_eq!(text(&message), Some(&*id));
        prop_assert!(is_call_id(id.as_bytes()));
    }
}
