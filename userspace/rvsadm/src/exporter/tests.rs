// SPDX-License-Identifier: GPL-2.0

//! Tests of the exporter: its text, and clients of all kinds.

use std::io::{self, Read, Write};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use rvs_netlink::{Counters, Stats};

use super::exposition::as_prometheus;
use super::families::{counted, Counted};
use super::http::{self, Stream};
use super::*;
use crate::fake::FakeKernel;

const LINES: &str = "\
-A -t 203.0.113.10:80 -s rr -p 300
-a -t 203.0.113.10:80 -r 192.0.2.1:80 -g -w 3 -x 50 -y 20
-A -u [2001:db8::10]:53 -s wlc
-a -u [2001:db8::10]:53 -r [2001:db8::1]:53 -m -w 0
";

fn reading() -> Reading {
    let mut reading = Reading::take(&mut FakeKernel::with(LINES), 100).unwrap();
    reading.conn_max = 5000;
    reading.counters = Counters {
        conns_now: 77,
        drop_no_dest: 12,
        ..Counters::default()
    };
    reading.dests[0].stats = Stats {
        connections: 1,
        in_packets: 2,
        out_packets: 3,
        in_bytes: 4,
        out_bytes: u64::MAX,
        drops: 6,
        no_reply: 0,
    };
    reading.dests[0].active = 9;
    reading
}

fn text(readings: &[(&str, Result<Reading, String>)]) -> String {
    let scrapes = readings.iter().map(|(netns, reading)| Scrape {
        netns: exposition::label(netns),
        took: Duration::from_millis(1500),
        reading: reading.clone(),
    });
    let exposition = Exposition {
        scrapes: scrapes.collect(),
        module: Some("0.1.0".to_owned()),
        requests: 3,
        refused: 0,
    };
    exposition.text().unwrap()
}

#[test]
fn a_namespace_with_all_its_figures() {
    let text = text(&[("", Ok(reading()))]);
    let lines: Vec<_> = text.lines().collect();
    let dest = r#"netns="",service="tcp/203.0.113.10:80",dest="192.0.2.1:80""#;
    for line in [
        r#"rvs_up{netns=""} 1"#.to_owned(),
        r#"rvs_scrape_duration_seconds{netns=""} 1.5"#.to_owned(),
        r#"rvs_module_info{version="0.1.0"} 1"#.to_owned(),
        r#"rvs_connections{netns=""} 77"#.to_owned(),
        r#"rvs_connections_limit{netns=""} 5000"#.to_owned(),
        r#"rvs_dropped_packets_total{netns="",reason="no-dest"} 12"#.to_owned(),
        r#"rvs_dropped_packets_total{netns="",reason="martian"} 0"#.to_owned(),
        r#"rvs_service_info{netns="",service="tcp/203.0.113.10:80",scheduler="rr"} 1"#.to_owned(),
        r#"rvs_service_templates{netns="",service="tcp/203.0.113.10:80"} 0"#.to_owned(),
        r#"rvs_service_dropped_packets_total{netns="",service="tcp/203.0.113.10:80"} 0"#.to_owned(),
        format!("rvs_dest_dropped_packets_total{{{dest}}} 6"),
        "# UNIT rvs_dest_bytes bytes".to_owned(),
        "# TYPE rvs_dest_bytes counter".to_owned(),
        format!(r#"rvs_dest_info{{{dest},mode="dr"}} 1"#),
        format!(
            r#"rvs_dest_bytes_total{{{dest},direction="out"}} {}"#,
            u64::MAX
        ),
        format!(r#"rvs_dest_packets_total{{{dest},direction="in"}} 2"#),
        format!(r#"rvs_dest_connections{{{dest},state="active"}} 9"#),
        format!(r#"rvs_dest_connections_threshold{{{dest},bound="lower"}} 20"#),
        format!(r#"rvs_dest_weight{{{dest}}} 3"#),
    ] {
        assert!(lines.contains(&line.as_str()), "no {line} in\n{text}");
    }
    assert_eq!(lines.last(), Some(&"# EOF"));
    // What is not set has no value.
    let templates = |line: &&&str| line.starts_with("rvs_service_templates{");
    assert_eq!(lines.iter().filter(templates).count(), 1);
}

#[test]
fn every_counter_is_told_once() {
    let mut reading = reading();
    reading.counters.drop_malformed = 1001;
    reading.counters.templates_now = 1002;
    let text = text(&[("", Ok(reading.clone()))]);
    for (name, value) in reading.counters.entries() {
        let start = match counted(name) {
            Counted::Reason(reason) => {
                format!("rvs_dropped_packets_total{{netns=\"\",reason=\"{reason}\"}}")
            }
            Counted::Own(metric, _, grows) => {
                let end = if grows { "_total" } else { "" };
                format!("{metric}{end}{{netns=\"\"}}")
            }
        };
        let line = format!("{start} {value}");
        assert_eq!(text.lines().filter(|l| **l == line).count(), 1, "{line}");
    }
    // One that this version does not know.
    let own = |name, grows| Counted::Own(name, "As the module tells it", grows);
    assert_eq!(counted("drop-new"), Counted::Reason("new"));
    assert_eq!(
        counted("some-thing"),
        own("rvs_some_thing".to_owned(), true)
    );
    assert_eq!(counted("some-now"), own("rvs_some".to_owned(), false));
}

#[test]
fn no_series_is_there_twice() {
    let gone = Err("the rvs module is not loaded".to_owned());
    let text = text(&[("", Ok(reading())), ("blue", Ok(reading())), ("gone", gone)]);
    let mut seen = std::collections::HashSet::new();
    let mut families = std::collections::HashSet::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ") {
            assert!(families.insert(name.to_owned()), "{line}");
        } else if !line.starts_with('#') {
            let (series, _) = line.rsplit_once(' ').unwrap();
            assert!(seen.insert(series.to_owned()), "{line}");
        }
    }
    assert!(text.contains("rvs_up{netns=\"gone\"} 0\n"));
    assert!(text.contains("rvs_connections{netns=\"blue\"} 77\n"));
    assert!(!text.contains("rvs_connections{netns=\"gone\"}"));
}

#[test]
fn names_of_namespaces_cannot_break_the_text() {
    let text = text(&[("a\"b\\c\nd", Ok(Reading::default()))]);
    assert!(
        text.contains("rvs_up{netns=\"a\\\"b\\\\c\\nd\"} 1\n"),
        "{text}"
    );
}

#[test]
fn the_older_text_has_the_suffix_everywhere() {
    let open = text(&[("", Ok(reading()))]);
    let old = as_prometheus(&open);
    assert!(old.contains("# TYPE rvs_dest_bytes_total counter\nrvs_dest_bytes_total{"));
    assert!(old.contains("# TYPE rvs_connections gauge\nrvs_connections{"));
    assert!(!old.contains("# UNIT") && !old.contains("# EOF"));
    let samples = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(samples(&old), samples(&open));
    let count = |text: &str, what| text.matches(what).count();
    assert_eq!(count(&old, "# HELP "), count(&open, "# HELP "));
}

/// What a client sends, a part at a read, and what it got.
struct Client {
    parts: Vec<&'static [u8]>,
    got: Vec<u8>,
    /// What happens when all is read.
    then: io::ErrorKind,
    ended: std::cell::Cell<bool>,
}

impl Client {
    fn saying(parts: &[&'static str]) -> Self {
        Self {
            parts: parts.iter().rev().map(|part| part.as_bytes()).collect(),
            got: Vec::new(),
            then: io::ErrorKind::WouldBlock,
            ended: false.into(),
        }
    }

    fn got(&self) -> String {
        String::from_utf8(self.got.clone()).unwrap()
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.parts.pop() {
            Some(part) => {
                let (now, later) = part.split_at(part.len().min(buffer.len()));
                buffer[..now.len()].copy_from_slice(now);
                if !later.is_empty() {
                    self.parts.push(later);
                }
                Ok(now.len())
            }
            None if self.ended.get() => Ok(0),
            None => Err(self.then.into()),
        }
    }
}

impl Write for Client {
    /// A few bytes at a time.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let some = bytes.len().min(7);
        self.got.extend_from_slice(&bytes[..some]);
        Ok(some)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Client {
    fn limit(&self, time: Duration) -> io::Result<()> {
        assert!(!time.is_zero());
        Ok(())
    }

    fn end(&self) {
        self.ended.set(true);
    }
}

fn server() -> Server {
    let make = |_: &Counts| Ok("# TYPE a counter\na_total 1\n# EOF\n".to_owned());
    Server::new(Box::new(make), 2)
}

fn answer(parts: &[&'static str]) -> String {
    let mut client = Client::saying(parts);
    server().serve(&mut client);
    client.got()
}

#[test]
fn a_scrape_in_the_form_that_is_asked_for() {
    let old = answer(&["GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"]);
    assert!(old.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4;"));
    assert!(
        old.ends_with("\r\n\r\n# TYPE a_total counter\na_total 1\n"),
        "{old}"
    );
    let accept = "Accept: Application/OpenMetrics-Text;version=1.0.0,text/plain;q=0.5\r\n\r\n";
    let open = answer(&["GET /metr", "ics?x=1 HTTP/1.1\r\nHo", "st: a\r\n", accept]);
    assert!(open.contains("Content-Type: application/openmetrics-text; version=1.0.0;"));
    assert!(
        open.ends_with("\r\n\r\n# TYPE a counter\na_total 1\n# EOF\n"),
        "{open}"
    );
    assert!(open.contains("\r\nConnection: close\r\n"));
    let head = answer(&["HEAD /metrics HTTP/1.0\r\n\r\n"]);
    assert!(
        head.contains("\r\nContent-Length: 33\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[test]
fn other_requests_are_told_what_is_wrong() {
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "200 OK"),
        ("GET /metrics/ HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("GET http://a/metrics HTTP/1.1\r\n\r\n", "404 Not Found"),
        (
            "POST /metrics HTTP/1.1\r\nContent-Length: 2\r\n\r\nab",
            "405 Method Not Allowed",
        ),
        ("OPTIONS * HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        ("GET /metrics\r\n\r\n", "400 Bad Request"),
        ("GET /metrics HTTP/9.9\r\n\r\n", "400 Bad Request"),
        ("\u{16}\u{3}\u{1}\u{2}\r\n\r\n", "400 Bad Request"),
        ("GET /metrics HTTP/1.1\r\nHost: ", "408 Request Timeout"),
    ] {
        let got = answer(&[request]);
        assert!(
            got.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{request:?}: {got}"
        );
    }
    assert!(answer(&[]).starts_with("HTTP/1.1 408 "));
    assert!(answer(&["DELETE / HTTP/1.1\r\n\r\n"]).contains("\r\nAllow: GET, HEAD\r\n"));
}

#[test]
fn a_head_without_end_is_too_long() {
    const LINE: &str = "X-Padding: 0123456789012345678901234567890123456789\r\n";
    let mut parts = vec!["GET / HTTP/1.1\r\n"];
    parts.extend([LINE; 3000]);
    let mut client = Client::saying(&parts);
    server().serve(&mut client);
    assert!(
        client.got().starts_with("HTTP/1.1 431 "),
        "{}",
        client.got()
    );
    // It was not read to its end.
    assert!(client.parts.len() > 10);
    let path = [&["GET /"], &["0123456789"; 2000][..]].concat();
    assert!(answer(&path).starts_with("HTTP/1.1 431 "));
}

#[test]
fn who_closes_or_breaks_off_gets_nothing() {
    for then in [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset] {
        let mut client = Client::saying(&["GET /met"]);
        client.then = then;
        server().serve(&mut client);
        assert_eq!(client.got(), "");
    }
}

/// A client that takes nothing.
struct Slow(Client);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Slow {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        std::thread::sleep(Duration::from_millis(1));
        Err(io::ErrorKind::Interrupted.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Slow {
    fn limit(&self, time: Duration) -> io::Result<()> {
        self.0.limit(time)
    }

    fn end(&self) {}
}

#[test]
fn time_runs_out_for_who_takes_nothing() {
    let mut slow = Slow(Client::saying(&[]));
    let end = Instant::now() + Duration::from_millis(50);
    let written = http::write(&mut slow, &http::Answer::text("200 OK", "a"), true, end);
    assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    let mut slow = Slow(Client::saying(&["GET"]));
    assert!(http::read(&mut slow, Instant::now()).unwrap_err().is_some());
}

/// While one scrape reads, ten clients come: they get one more reading together.
#[test]
fn clients_that_wait_share_a_reading() {
    let made = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&made);
    let make = move |_: &Counts| {
        std::thread::sleep(Duration::from_millis(300));
        Ok(format!("n {}\n", count.fetch_add(1, Ordering::Relaxed)))
    };
    let server = Server::new(Box::new(make), 100);
    let scrape = || {
        let mut client = Client::saying(&["GET /metrics HTTP/1.1\r\n\r\n"]);
        server.serve(&mut client);
        assert!(client.got().starts_with("HTTP/1.1 200 "));
    };
    std::thread::scope(|scope| {
        scope.spawn(scrape);
        std::thread::sleep(Duration::from_millis(100));
        for _ in 0..10 {
            scope.spawn(scrape);
        }
    });
    // On a busy host some come too late for that one, but not all of them, each for its own.
    let made = made.load(Ordering::Relaxed);
    assert!((2..6).contains(&made), "{made}");
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let server = Server::new(Box::new(|_| Err("broken".to_owned())), 1);
    let mut client = Client::saying(&["GET /metrics HTTP/1.1\r\n\r\n"]);
    server.serve(&mut client);
    assert!(client.got().starts_with("HTTP/1.1 500 "));
}

/// The examples name only metrics that there are, with the labels that they have.
#[test]
fn the_examples_name_metrics_that_there_are() {
    let text = as_prometheus(&text(&[("", Ok(full()))]));
    let names: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    for example in [
        include_str!("../../../../examples/prometheus/rvs-alerts.yml"),
        include_str!("../../../../examples/grafana/rvs.json"),
    ] {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = example.split(|c| !is_of_name(c));
        let used: Vec<_> = words.filter(|word| word.starts_with("rvs_")).collect();
        assert!(used.len() > 5);
        for name in used {
            assert!(names.contains(&name), "{name}");
        }
    }
}

/// With a value of every metric.
fn full() -> Reading {
    let mut reading = reading();
    let dest = &mut reading.dests[0];
    (dest.drain, dest.templates, dest.no_port) = (Some(3), 1, 1);
    reading
}
