// SPDX-License-Identifier: GPL-2.0

use proptest::prelude::*;

use rvs_engine::conntrack::Conntrack;
use rvs_engine::echo::Echo;
use rvs_engine::helper::Helper;
use rvs_engine::persistence::Engine;
use rvs_engine::places::Places;
use rvs_engine::service::SchedulerFlags;
use rvs_engine::spec::ConnReuse;

use super::*;
use rvs_engine::proto::own::{OwnTimeouts, TimeoutUpdate};
use rvs_engine::proto::State;
use rvs_engine::service::Removed;

fn read(line: &str) -> Result<Line, Problem> {
    parse(line, &Ports::default())
}

fn service(text: &str) -> ServiceId {
    values::service_id(text).unwrap()
}

fn plain(scheduler: &str) -> ServiceSpec {
    ServiceSpec::new(values::scheduler(scheduler).unwrap())
}

fn dest(service_text: &str, text: &str, weight: u32) -> Line {
    let mode = Mode::Dr;
    let id = values::dest_id(text).unwrap();
    Line::Dest(service(service_text), id, DestSpec::new(mode, weight))
}

#[test]
fn ipvsadm_lines() {
    let rr = plain("rr");
    let web = || Line::Service(service("tcp/192.0.2.10:80"), rr);
    for line in [
        "-A -t 192.0.2.10:80 -s rr",
        "-A -t 192.0.2.10:http -s rr",
        "  -A -t192.0.2.10:80 -srr  # the web",
        "--add-service --tcp-service 192.0.2.10:80 --scheduler rr",
        "--add-service --tcp-service=192.0.2.10:www --scheduler=rr",
    ] {
        assert_eq!(read(line), Ok(web()), "{line}");
    }
    let wlc = plain("wlc");
    assert_eq!(
        read("-A -t 192.0.2.10:80"),
        Ok(Line::Service(service("tcp/192.0.2.10:80"), wlc))
    );
    for line in [
        "-a -t 192.0.2.10:80 -r 198.51.100.1:80 -g -w 3",
        "-a -r 198.51.100.1 -w 3 -t 192.0.2.10:http -x 0 -y 0",
        "--add-server --tcp-service 192.0.2.10:80 --real-server 198.51.100.1:80 --gatewaying \
         --weight 3",
    ] {
        let expected = dest("tcp/192.0.2.10:80", "198.51.100.1:80", 3);
        assert_eq!(read(line), Ok(expected), "{line}");
    }
    assert_eq!(
        read("-a -u 192.0.2.10:domain -r 198.51.100.1:53"),
        Ok(dest("udp/192.0.2.10:53", "198.51.100.1:53", 1))
    );
}

#[test]
fn what_ipvsadm_cannot_say_has_a_line_of_its_own() {
    let id = service("tcp/192.0.2.10:80");
    let spec = ServiceSpec {
        mh_size: 65_537,
        expiration: 60,
        flags: SchedulerFlags::PORT,
        toa: 200,
        ..plain("mh")
    };
    let lines = service_lines(&id, &spec);
    assert_eq!(
        lines,
        [
            "-A -t 192.0.2.10:80 -s mh -b mh-port",
            "#rvsadm service tcp/192.0.2.10:80 --mh-size 65537 --sched-expiration 60 \
             --toa 200",
        ]
    );
    let update = ServiceUpdate {
        mh_size: Some(65_537),
        expiration: Some(60),
        toa: Some(200),
        ..ServiceUpdate::default()
    };
    assert_eq!(read(&lines[1]), Ok(Line::More(id, update)));
}

#[test]
fn settings_of_ours_come_back() {
    let id = service("udp/192.0.2.10:0");
    let mut timeouts = TimeoutUpdate::default();
    timeouts.set(State::Udp, 5);
    timeouts.set(State::FinWait, 6);
    let spec = ServiceSpec {
        random_start: true,
        persistence: Persistence {
            seconds: 0,
            prefix: 24,
            quiesced: true,
            engine: Engine::Off,
        },
        timeouts: timeouts.of(&OwnTimeouts::NONE),
        removed: Removed::GoOn,
        account: true,
        helper: Helper::Ftp,
        ..plain("rr")
    };
    let lines = service_lines(&id, &spec);
    assert_eq!(lines[0], "-A -u 192.0.2.10:0 -s rr");
    assert_eq!(read(&lines[0]), Ok(Line::Service(id, plain("rr"))));
    let update = ServiceUpdate {
        scheduler: None,
        ..spec.since(&plain("rr"))
    };
    assert_eq!(read(&lines[1]), Ok(Line::More(id, update)));
    let line = read("-A -t 192.0.2.10:80 -s wlc -p");
    let Ok(Line::Service(_, spec)) = line else {
        panic!("{line:?}");
    };
    assert_eq!(spec.persistence.seconds, 300);
}

#[test]
fn calls_that_stay() {
    let line = "-A -u 192.0.2.10:5060 -s rr -o -p 60 -M 255.255.255.0 --pe sip";
    let Ok(Line::Service(id, spec)) = read(line) else {
        panic!("{:?}", read(line));
    };
    assert_eq!(spec.persistence.engine, Engine::Sip);
    assert_eq!(service_lines(&id, &spec), [line]);
    for (line, reason) in [
        (
            "-A -u 192.0.2.10:5060 -s rr -p 60 --pe ftp",
            "there is no persistence engine \"ftp\"",
        ),
        (
            "-A -t 192.0.2.10:5060 -s rr -p 60 --pe sip",
            "persistence engine sip is for udp, not tcp",
        ),
        (
            "-A -u 192.0.2.10:5060 -s rr -p 60 --pe",
            "--pe has no value",
        ),
        (
            "-a -u 192.0.2.10:5060 -r 192.0.2.1:5060 --pe sip",
            "has persistence",
        ),
        ("-A -u 192.0.2.10:5060 --pe sip --pe sip", "again"),
    ] {
        let problem = read(line).expect_err(line);
        assert!(problem.reason.contains(reason), "{line}: {problem:?}");
    }
}

#[test]
fn nothing() {
    for line in [
        "",
        "   ",
        "# -A -t nonsense",
        "# rvsadm has a comment",
        "#rvsadms",
        "#",
    ] {
        assert_eq!(read(line), Ok(Line::Nothing), "{line:?}");
    }
}

#[test]
fn refused_with_a_reason() {
    let dest = "-a -t 192.0.2.10:80 -r 198.51.100.1:80";
    for (line, reason) in [
        (
            "-A -t 192.0.2.10:80 -s rr -p five",
            "-p: \"five\" is no number",
        ),
        (
            "-A -t 192.0.2.10:80 -s rr -p 0",
            "-p: 0 seconds are no persistence",
        ),
        (
            "-A -t 192.0.2.10:80 -s rr -p 5 -M 255.0.255.0",
            "-M: 255.0.255.0 is no netmask",
        ),
        (
            "-A -t 192.0.2.10:80 -s rr -p 5 -M 0.0.0.0",
            "-M: 0.0.0.0 would keep all clients with one dest",
        ),
        ("-A -t 192.0.2.10:80 -s rr -p 5 -M 33", "prefix length 33"),
        ("-A -f 0 -s rr", "mark 0"),
        ("-A -f one -s rr", "\"one\" is no mark"),
        (
            "-A -t 192.0.2.10:80 -6 -s rr",
            "-6 belongs to a service by mark",
        ),
        ("-A -f 1 -t 192.0.2.10:80 -s rr", "says again"),
        (
            "-A -t 192.0.2.10:80 -s sh -b sh-ports",
            "-b: \"sh-ports\" is no flag",
        ),
        ("-A -t 192.0.2.10:80 -s sh -b", "-b: \"\" is no flag"),
        (
            "-A -t 192.0.2.10:80 -s rr -O",
            "one-packet scheduling is for udp",
        ),
        ("-A -t 192.0.2.10:80 -s rr -x 5", "options of a dest"),
        (
            "#rvsadm service tcp/192.0.2.10:80 --mh 4093",
            "unexpected argument '--mh'",
        ),
        (
            "#rvsadm service tcp/192.0.2.10:80 --mh-size",
            "a value is required for '--mh-size <N>'",
        ),
        (
            "#rvsadm service tcp/192.0.2.10 --mh-size 251",
            "has no port",
        ),
        (
            "-A -t 192.0.2.10:80 -s nope",
            "no scheduler is called \"nope\"",
        ),
        ("-A -t 192.0.2.10 -s rr", "has no port"),
        ("-A -t 224.0.0.1:80 -s rr", "224.0.0.1 cannot be"),
        ("-A -t web:80 -s rr", "\"web\" is not an IP address"),
        ("-A -t 192.0.2.10:80 -s rr -w 1", "options of a dest"),
        ("-A -s rr", "names no service"),
        ("-A -t", "-t has no value"),
        ("-A -t 192.0.2.10:80 -u 192.0.2.10:80 -s rr", "again"),
        ("-C", "-C has no place"),
        ("flush", "\"flush\" is not an option"),
        ("- -A", "\"-\" is not an option"),
        ("-t 192.0.2.10:80", "adds neither"),
        ("-a -t 192.0.2.10:80", "names no real server"),
        (
            "-a -t 192.0.2.10:80 -r 192.0.2.10:80",
            "the virtual address itself",
        ),
        (
            "-a -t 192.0.2.10:80 -r 198.51.100.1:8080",
            "mode dr cannot change the port",
        ),
        ("-P -t 192.0.2.10:80", "names no local address"),
        ("-P -z 192.0.2.200", "names no service"),
        (
            "-P -t 192.0.2.10:80 -z 192.0.2.200 -w 1",
            "options of a service or dest",
        ),
        (
            "-P -t 192.0.2.10:80 -z 192.0.2.200:80",
            "\"192.0.2.200:80\" is not an IP address",
        ),
        (
            "-P -t 192.0.2.10:80 -z 224.0.0.1",
            "224.0.0.1 cannot be a local address",
        ),
        (
            "-P -t 192.0.2.10:80 -z 192.0.2.200 -F dpdk0",
            "\"-F\" is not an option",
        ),
        (
            "#rvsadm laddr 127.0.0.1",
            "127.0.0.1 cannot be a local address",
        ),
        ("#rvsadm laddr web", "\"web\" is not an IP address"),
        ("#rvsadm config --udp-timeout 0", "timeout 0 s"),
        ("#rvsadm config --udp-timeouts 1", "--udp-timeouts"),
    ] {
        let problem = read(line).expect_err(line);
        assert!(problem.reason.contains(reason), "{line}: {problem:?}");
        assert!(problem.hint.is_some(), "{line}");
    }
    for (options, reason) in [
        ("-z 192.0.2.200", "local address (-z)"),
        ("-x five", "upper threshold \"five\""),
        ("-y 5", "lower threshold 5 is above the upper, 0"),
        ("-b sh-port", "-b is FullNAT here"),
        ("-o", "one-packet scheduling (-o)"),
        ("-p", "persistence (-p, -M, --pe)"),
        ("-w 2147483648", "weight 2147483648"),
        ("-w -1", "\"-1\""),
        ("-s rr", "scheduler"),
        ("-g -g", "again"),
        ("-gm", "-g takes no value"),
        ("--gatewaying=yes", "--gatewaying takes no value"),
    ] {
        let problem = read(&format!("{dest} {options}")).expect_err(options);
        assert!(problem.reason.contains(reason), "{options}: {problem:?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        v4 in 0x0100_0000_u32..0xdfff_ffff,
        real in 0x0100_0000_u32..0xdfff_ffff,
        port in 1_u16..,
        weight in 0_u32..=65_535,
        udp: bool,
        bits in 0_u32..8,
        one_packet: bool,
        seconds in 0_u32..1000,
        prefix in 0_u8..32,
        upper: u32,
        mark in 0_u32..8,
    ) {
        let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
        let address = std::net::Ipv4Addr::from(v4).into();
        let id = match mark {
            0 => ServiceId::Virtual { protocol, address, port },
            mark => ServiceId::Marked { mark, ipv6: false },
        };
        prop_assume!(id.validate().is_ok());
        for name in ["wrr", "sh", "mh"] {
            let spec = ServiceSpec {
                flags: SchedulerFlags::from_bits(bits).unwrap(),
                one_packet: udp && one_packet,
                persistence: Persistence {
                    seconds,
                    prefix: if seconds == 0 { 0 } else { prefix },
                    quiesced: false,
                    engine: if udp && one_packet { Engine::Sip } else { Engine::Off },
                },
                ..plain(name)
            };
            let lines = service_lines(&id, &spec);
            prop_assert_eq!(lines.len(), 1);
            prop_assert_eq!(read(&lines[0]), Ok(Line::Service(id, spec)));
        }
        let port = id.port();
        let dest = DestId { address: std::net::Ipv4Addr::from(real).into(), port };
        let thresholds = Thresholds { upper, lower: upper / 2 };
        let spec = DestSpec { thresholds, ..DestSpec::new(Mode::Dr, weight) };
        prop_assume!(spec.validate(&dest, &id).is_ok());
        let line = dest_line(&id, &dest, &spec);
        prop_assert_eq!(read(&line), Ok(Line::Dest(id, dest, spec)));
    }

    #[test]
    fn settings_come_back(udp in 1_u32..2_678_400, conn_max: u64, on: bool, fin in 1_u32..99) {
        let mut config = Config {
            udp_timeout: Some(udp),
            conn_max: Some(conn_max),
            conn_max_others: Some(!conn_max),
            expire_nodest: Some(on),
            local_port_min: Some(fin as u16),
            local_port_max: Some(65_535),
            toa_kind: Some(if on { 0 } else { 200 }),
            sloppy_tcp: Some(!on),
            conn_reuse: ConnReuse::from_number((fin % 3) as u8),
            nat_as_fullnat: Some(on),
            cache_bypass: Some(!on),
            echo: Echo::from_number((fin % 3) as u8),
            places: Places::from_number((fin % 2) as u8),
            conntrack: Conntrack::from_number((fin % 3) as u8),
            ..Config::default()
        };
        prop_assert!(config.tcp_timeouts.set("fin-wait", fin));
        prop_assert_eq!(read(&settings_line(&config)), Ok(Line::Settings(config)));
    }

    #[test]
    fn any_text_is_a_line_or_a_problem(text in "\\PC*", options in "(-[a-zA-Z] ?[0-9.:]{0,9} ?){0,6}") {
        let _ = read(&text);
        let _ = read(&options);
    }
}

#[test]
fn tunnels_as_ipvsadm_has_them() {
    for (options, kind, sum, port) in [
        ("", TunnelKind::Ipip, TunnelSum::None, 0),
        (
            " --tun-type gre --tun-nocsum",
            TunnelKind::Gre,
            TunnelSum::None,
            0,
        ),
        (
            " --tun-type gre --tun-csum",
            TunnelKind::Gre,
            TunnelSum::Whole,
            0,
        ),
        (
            " --tun-type gue --tun-port 6080 --tun-remcsum",
            TunnelKind::Gue,
            TunnelSum::Remote,
            6080,
        ),
    ] {
        let text = format!("-a -t 203.0.113.10:80 -r 192.0.2.1:80 -i -w 1{options}");
        let spec = DestSpec {
            tunnel: Tunnel { kind, sum, port },
            ..DestSpec::new(Mode::Tun, 1)
        };
        let Ok(Line::Dest(service, id, read)) = read(&text) else {
            panic!("{text}");
        };
        assert_eq!(read, spec);
        assert_eq!(dest_line(&service, &id, &spec), text);
    }
    for (options, words) in [
        ("-i --tun-port 6080", "without its type"),
        ("-i --tun-type l2tp", "the tunnels are ipip, gue, gre"),
        ("-i --tun-type gue", "needs a port"),
        ("-g --tun-type gre", "mode dr has no tunnel"),
    ] {
        let text = format!("-a -t 203.0.113.10:80 -r 192.0.2.1:80 {options}");
        let problem = read(&text).unwrap_err();
        assert!(problem.reason.contains(words), "{}", problem.reason);
    }
    let local = "-a -t 203.0.113.10:80 -r 127.0.0.1:80 --local -w 1";
    assert!(matches!(read(local), Ok(Line::Dest(_, _, spec)) if spec.mode == Mode::Local));
}
