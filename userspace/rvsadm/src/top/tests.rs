// SPDX-License-Identifier: GPL-2.0

//! Tests of the live view, drawn into memory.

use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::backend::TestBackend;
use ratatui::Terminal;
use rvs_engine::spec::{Protocol, ServiceId};
use rvs_netlink::{Counters, Stats};

use super::app::{App, View};
use super::columns::Sort;
use super::draw::draw;
use super::figures::{drops, short};
use super::sampler::{Ask, Conn, Conns, Sample, CONNS_MAX};
use super::*;
use crate::fake::FakeKernel;
use crate::reading::{Dest, Reading, Service};

const LINES: &str = "\
-A -t 203.0.113.10:80 -s rr
-a -t 203.0.113.10:80 -r 192.0.2.1:80 -g -w 1
-a -t 203.0.113.10:80 -r 192.0.2.2:80 -g -w 2
-A -u [2001:db8::10]:53 -s wlc
-a -u [2001:db8::10]:53 -r [2001:db8::1]:53 -g -w 0
";

fn stats(connections: u64, packets: u64, bytes: u64) -> Stats {
    Stats {
        connections,
        in_packets: packets,
        in_bytes: bytes,
        ..Stats::default()
    }
}

/// What there is of the lines above, with traffic: the first dest has most, the second none.
fn reading() -> Reading {
    let mut kernel = FakeKernel::with(LINES);
    let mut reading = Reading::take(&mut kernel, 100).unwrap();
    reading.services[0].rates = stats(16, 2000, 1_250_000);
    (reading.services[0].active, reading.services[0].inactive) = (10, 30);
    reading.dests[0].rates = stats(16, 2000, 1_250_000);
    (reading.dests[0].active, reading.dests[0].inactive) = (10, 20);
    reading.dests[1].inactive = 10;
    reading
}

fn sample(reading: Reading, ask: Ask, conns: Option<Conns>) -> Result<Sample, String> {
    Ok(Sample {
        ask,
        reading,
        conns,
    })
}

fn app() -> App {
    let mut app = App::new(Duration::from_secs(2), Sort::Bits, String::new());
    app.take(sample(reading(), Ask(None), None), Instant::now());
    app
}

fn press(app: &mut App, codes: &[KeyCode]) {
    for code in codes {
        app.key(KeyEvent::new(*code, KeyModifiers::NONE));
    }
}

fn type_in(app: &mut App, text: &str) {
    let codes: Vec<_> = text.chars().map(KeyCode::Char).collect();
    press(app, &codes);
}

/// The screen's lines.
fn screen(app: &mut App, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, app, true)).unwrap();
    let cells = terminal
        .backend()
        .buffer()
        .content()
        .chunks(usize::from(width.max(1)));
    let lines = cells.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
    lines.map(|line| line.trim_end().to_owned()).collect()
}

/// The line with a text in it.
fn line<'a>(screen: &'a [String], text: &str) -> &'a str {
    let found = screen.iter().find(|line| line.contains(text));
    found.unwrap_or_else(|| panic!("no {text} in\n{}", screen.join("\n")))
}

#[test]
fn services_with_their_figures_at_80_by_24() {
    let shown = screen(&mut app(), 80, 24);
    assert_eq!(shown.len(), 24);
    assert!(
        shown[3].starts_with("Services (2)  by bits"),
        "{}",
        shown[3]
    );
    let words = |text| {
        line(&shown, text)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        words("tcp/203.0.113.10:80"),
        "tcp/203.0.113.10:80 2 1 40 16 2000 10.0M 0 idle"
    );
    assert_eq!(
        words("udp/[2001:db8::10]:53"),
        "udp/[2001:db8::10]:53 1 0 0 0 0 0 0 off"
    );
    assert!(shown[23].starts_with("q quit  Enter open  Esc back"));
    // Nothing is cut at the edge.
    assert!(shown[23].ends_with("h help"), "{}", shown[23]);
    assert!(shown[4].ends_with("STATE"), "{}", shown[4]);
}

#[test]
fn long_names_lose_their_middle() {
    let mut reading = reading();
    let address = "2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap();
    let id = ServiceId::Virtual {
        protocol: Protocol::Udp,
        address,
        port: 53,
    };
    reading.services[1].id = id;
    reading.dests[2].id.address = address;
    let mut app = app();
    app.take(sample(reading, Ask(None), None), Instant::now());
    line(&screen(&mut app, 80, 24), "udp/[2001:db8:1…:5555:6666]:53 ");
    line(&screen(&mut app, 120, 24), &id.to_string());
    press(&mut app, &[KeyCode::Tab]);
    line(
        &screen(&mut app, 80, 24),
        "udp/[2001:db8…5555:6666]:53 [2001:db8:111…5555:6666]:53",
    );
}

#[test]
fn a_service_is_off_when_nothing_takes_its_connections() {
    let mut reading = reading();
    reading.dests[0].weight = 0;
    let mut app = app();
    let state = |app: &mut App| {
        let shown = screen(app, 80, 24);
        line(&shown, "tcp/203")
            .split_whitespace()
            .last()
            .unwrap()
            .to_owned()
    };
    // The other one gets nothing.
    app.take(sample(reading.clone(), Ask(None), None), Instant::now());
    assert_eq!(state(&mut app), "idle");
    reading.dests[1].weight = 0;
    app.take(sample(reading.clone(), Ask(None), None), Instant::now());
    assert_eq!(state(&mut app), "off");
    reading.dests.truncate(0);
    app.take(sample(reading, Ask(None), None), Instant::now());
    assert_eq!(state(&mut app), "off");
}

#[test]
fn dests_of_a_service_and_back() {
    let mut app = app();
    press(&mut app, &[KeyCode::Enter]);
    let shown = screen(&mut app, 80, 24);
    assert!(shown[3].starts_with("Dests of tcp/203.0.113.10:80 (2)"));
    let words = |text| {
        line(&shown, text)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        words("192.0.2.1:80"),
        "192.0.2.1:80 1 30 75% 16 2000 10.0M 0 ok"
    );
    assert_eq!(words("192.0.2.2:80"), "192.0.2.2:80 2 10 25% 0 0 0 0 idle");
    press(&mut app, &[KeyCode::Esc]);
    assert_eq!(app.view, View::Services);
    press(&mut app, &[KeyCode::Tab]);
    let shown = screen(&mut app, 80, 24);
    assert!(shown[3].starts_with("All dests (3)"));
    line(&shown, "[2001:db8::1]:53");
}

#[test]
fn connections_of_a_dest() {
    let mut app = app();
    press(&mut app, &[KeyCode::Enter]);
    let enter = KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE);
    // It is not to wait until the next reading is due.
    assert!(app.key(enter));
    line(&screen(&mut app, 80, 24), "(reading …)");
    let conn = |n| Conn {
        client: format!("198.51.100.2:{n}"),
        service: "203.0.113.10:80".to_owned(),
        state: "established",
        expires: "899.0 s".to_owned(),
    };
    let conns = Conns {
        rows: (40_000..40_000 + CONNS_MAX).map(conn).collect(),
        count: 70_000,
    };
    // What was asked for another list does not count.
    app.take(
        sample(reading(), Ask(None), Some(conns.clone())),
        Instant::now(),
    );
    assert!(app.conns.is_none());
    app.take(sample(reading(), app.ask(), Some(conns)), Instant::now());
    let shown = screen(&mut app, 80, 24);
    assert!(
        shown[3].ends_with("192.0.2.1:80 (70000), 1000 of them kept"),
        "{}",
        shown[3]
    );
    line(&shown, "198.51.100.2:40000");
    type_in(&mut app, "/:40999");
    press(&mut app, &[KeyCode::Enter]);
    assert_eq!(app.lines(), 1);
    press(&mut app, &[KeyCode::Esc, KeyCode::Esc]);
    assert!(matches!(app.view, View::Dests(Some(_))));
}

#[test]
fn what_sorts_and_what_is_selected_stays_so() {
    let mut app = app();
    app.sort = Sort::Name;
    press(&mut app, &[KeyCode::Tab, KeyCode::End]);
    let last = |app: &mut App| {
        screen(app, 120, 20)[7]
            .split_whitespace()
            .nth(1)
            .unwrap()
            .to_owned()
    };
    let selected = last(&mut app);
    press(&mut app, &[KeyCode::Char('r')]);
    assert_eq!(app.cursor, 0, "it has moved to the front with its dest");
    assert_ne!(last(&mut app), selected);
    for name in ["bits", "packets", "new", "connections", "state", "name"] {
        press(&mut app, &[KeyCode::Char('s')]);
        assert_eq!(app.sort.name(), name);
        line(&screen(&mut app, 80, 24), &format!("by {name}, reversed"));
    }
    // A dest that goes leaves the selection at a line that there is.
    let mut smaller = reading();
    smaller.dests.clear();
    app.take(sample(smaller, Ask(None), None), Instant::now());
    assert_eq!((app.lines(), app.cursor), (0, 0));
    press(&mut app, &[KeyCode::Enter, KeyCode::Down, KeyCode::PageUp]);
    screen(&mut app, 80, 24);
}

#[test]
fn filter_pause_and_help() {
    let mut app = app();
    type_in(&mut app, "/UDPx");
    press(&mut app, &[KeyCode::Backspace]);
    let shown = screen(&mut app, 80, 24);
    assert!(shown[23].starts_with("filter: UDP_"));
    assert_eq!(app.lines(), 1);
    // q is a letter here.
    type_in(&mut app, "q");
    assert!(!app.ends && app.lines() == 0);
    press(&mut app, &[KeyCode::Esc]);
    assert_eq!(app.lines(), 2);
    type_in(&mut app, "p");
    line(&screen(&mut app, 80, 24), "PAUSED");
    type_in(&mut app, "h");
    line(&screen(&mut app, 80, 24), "mute   connections ended");
    type_in(&mut app, "q");
    assert!(!app.ends, "any key only takes the help away");
    type_in(&mut app, "+");
    assert_eq!(app.delay, Duration::from_secs(5));
    type_in(&mut app, "---");
    assert_eq!(app.delay, Duration::from_secs(1));
    type_in(&mut app, "q");
    assert!(app.ends);
}

#[test]
fn any_size_of_terminal_is_borne() {
    let mut app = app();
    for codes in [
        &[][..],
        &[KeyCode::Enter],
        &[KeyCode::Enter],
        &[KeyCode::Char('h')],
    ] {
        press(&mut app, codes);
        for (width, height) in [
            (1, 1),
            (10, 3),
            (49, 24),
            (50, 7),
            (50, 8),
            (81, 9),
            (300, 100),
        ] {
            let shown = screen(&mut app, width, height);
            let is_small = width < 50 || height < 8;
            let told = shown[0].starts_with(
                "terminal too small"[..]
                    .get(..usize::from(width.min(18)))
                    .unwrap(),
            );
            assert_eq!(told, is_small, "{width}x{height}: {}", shown[0]);
        }
    }
}

#[test]
fn an_error_is_told_and_what_was_read_stays() {
    let mut app = app();
    app.take(
        Err("the rvs module is not loaded".to_owned()),
        Instant::now(),
    );
    let shown = screen(&mut app, 80, 24);
    assert!(shown[3].starts_with("the rvs module is not loaded; shown is"));
    line(&shown, "tcp/203.0.113.10:80");
    app.take(sample(reading(), Ask(None), None), Instant::now());
    assert!(app.error.is_none());
}

mod figures;
