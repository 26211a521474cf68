// SPDX-License-Identifier: GPL-2.0

//! What is made of what was read, and for scripts.

use super::*;

#[test]
fn how_dests_do() {
    let mut reading = reading();
    reading.dests[0].upper = 30;
    reading.dests[1].no_reply = 7;
    reading.dests[2].drain = Some(30);
    let mut app = app();
    app.take(sample(reading.clone(), Ask(None), None), Instant::now());
    let states = |app: &mut App| {
        press(app, &[KeyCode::Tab]);
        let shown = screen(app, 120, 24);
        press(app, &[KeyCode::Tab]);
        let of = |dest| {
            line(&shown, dest)
                .split_whitespace()
                .last()
                .unwrap()
                .to_owned()
        };
        [
            of("192.0.2.1:80"),
            of("192.0.2.2:80"),
            of("[2001:db8::1]:53"),
        ]
    };
    assert_eq!(states(&mut app), ["full", "mute", "drain"]);
    // As often as before is not mute now.
    app.take(sample(reading, Ask(None), None), Instant::now());
    assert_eq!(states(&mut app), ["full", "idle", "drain"]);
}

#[test]
fn drops_a_second_are_those_between_two_readings() {
    let before = Counters {
        drop_no_dest: 10,
        drop_too_big: 500,
        ..Counters::default()
    };
    let now = Counters {
        drop_no_dest: 30,
        drop_too_big: 500,
        conns_now: 9,
        ..Counters::default()
    };
    let first: Vec<_> = drops(&now, None)
        .into_iter()
        .map(|d| (d.reason, d.rate))
        .collect();
    assert_eq!(first, [("too-big", None), ("no-dest", None)]);
    let then = drops(&now, Some((&before, Duration::from_secs(4))));
    let then: Vec<_> = then
        .into_iter()
        .map(|d| (d.reason, d.total, d.rate))
        .collect();
    assert_eq!(
        then,
        [("no-dest", 30, Some(5.0)), ("too-big", 500, Some(0.0))]
    );
    // Zeroed in between.
    let zeroed = drops(&before, Some((&now, Duration::from_secs(1))));
    assert_eq!(zeroed[0].rate, Some(10.0));
}

#[test]
fn numbers_take_five_characters() {
    for (number, text) in [
        (0, "0"),
        (9999, "9999"),
        (10_000, "10.0k"),
        (12_345, "12.3k"),
        (99_949, "99.9k"),
        (99_951, "100k"),
        (999_499, "999k"),
        (999_500, "1.00M"),
        (1_234_567, "1.23M"),
        (u64::MAX, "18.4E"),
    ] {
        assert_eq!(short(number), text);
    }
}

/// As much as is kept: it must be quick, as it is done at each reading.
#[test]
fn a_hundred_thousand_dests() {
    let mut reading = reading();
    let (service, dest): (Service, Dest) = (reading.services[0].clone(), reading.dests[0].clone());
    reading.services = vec![service];
    reading.dests = (0..100_000_u32)
        .map(|n| {
            let mut dest = dest.clone();
            dest.id.address = std::net::Ipv4Addr::from(0x0a00_0000 + n).into();
            dest.rates.in_bytes = n.into();
            dest
        })
        .collect();
    let mut app = app();
    app.take(sample(reading, Ask(None), None), Instant::now());
    press(&mut app, &[KeyCode::Tab]);
    line(&screen(&mut app, 80, 24), "10.1.134.159:80");
    press(&mut app, &[KeyCode::End]);
    line(&screen(&mut app, 80, 24), "10.0.0.0:80");
    assert!(size_of::<Dest>() <= 256, "{}", size_of::<Dest>());
}

fn once(json: bool, filter: &str) -> String {
    let arguments = Arguments {
        delay: 2,
        once: true,
        sort: Sort::Name,
        filter: filter.to_owned(),
    };
    let mut kernel = FakeKernel::with(LINES);
    kernel
        .run(json, |context| run(&arguments, context))
        .unwrap()
}

#[test]
fn for_scripts_once() {
    let printed = once(false, "");
    let table: Vec<_> = printed.lines().skip(3).collect();
    assert_eq!(table.len(), 1 + 2 + 3, "{printed}");
    assert!(printed.lines().nth(1) == Some("drops: none"), "{printed}");
    let document: serde_json::Value = serde_json::from_str(&once(true, "")).unwrap();
    assert_eq!(document["services"][0]["dests"][1]["id"], "192.0.2.2:80");
    assert_eq!(
        document["services"][0]["dests"][1]["share"],
        serde_json::Value::Null
    );
    assert_eq!(document["services"][1]["dests"][0]["state"], "off");
    assert_eq!(document["dests_omitted"], 0);
}

#[test]
fn the_filter_takes_services_or_single_dests() {
    let ids = |filter| {
        let document: serde_json::Value = serde_json::from_str(&once(true, filter)).unwrap();
        let services = document["services"].as_array().unwrap();
        let count = |service: &serde_json::Value| service["dests"].as_array().unwrap().len();
        services.iter().map(count).collect::<Vec<_>>()
    };
    assert_eq!(ids("203.0.113.10"), [2]);
    assert_eq!(ids("192.0.2.2"), [1]);
    assert_eq!(ids("UDP"), [1]);
    assert_eq!(ids("nothing"), [] as [usize; 0]);
}

#[test]
fn sorts_have_names() {
    for name in Sort::NAMES {
        assert_eq!(sort(name).unwrap().name(), name);
    }
    assert!(sort("size").unwrap_err().contains("connections"));
}
