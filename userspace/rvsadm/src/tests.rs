// SPDX-License-Identifier: GPL-2.0

//! Commands as they are typed, with a kernel in memory: what they print and what they change.

use clap::Parser;
use rvs_engine::spec::{DestId, Mode, Protocol, ServiceId};
use rvs_netlink::generated::conn_state;
use rvs_netlink::{Connection, Reply, ServiceInfo, Template};
use serde_json::{json, Value};

use crate::cli::Cli;
use crate::dispatch;
use crate::failure::{Failure, Refused};
use crate::fake::FakeKernel;

const WEB: &str = "\
-A -t 203.0.113.10:80 -s rr
-a -t 203.0.113.10:80 -r 192.0.2.1:80 -g -w 1
-a -t 203.0.113.10:80 -r 192.0.2.2:80 -g -w 10
-A -u 203.0.113.10:53 -s wrr
";

/// What a command line prints; words are apart by one space.
pub fn printed(kernel: &mut FakeKernel, line: &str) -> Result<String, Failure> {
    let words = std::iter::once("rvsadm").chain(line.split(' '));
    let cli = Cli::try_parse_from(words).unwrap();
    kernel.run(cli.json, |context| dispatch(cli.command, context))
}

fn document(kernel: &mut FakeKernel, line: &str) -> Value {
    let printed = printed(kernel, &format!("-j {line}")).unwrap();
    assert_eq!(printed.lines().count(), 1, "one document on one line");
    let mut document: Value = serde_json::from_str(&printed).unwrap();
    let version = document.as_object_mut().unwrap().remove("version");
    assert_eq!(version, Some(json!(1)), "{line}");
    document
}

fn refused(kernel: &mut FakeKernel, line: &str) -> Refused {
    match printed(kernel, line) {
        Err(Failure::Refused(refused)) => *refused,
        other => panic!("{line}: {other:?}"),
    }
}

fn stats() -> Value {
    json!({
        "connections": 0, "in_packets": 0, "out_packets": 0, "in_bytes": 0, "out_bytes": 0,
        "drops": 0, "no_reply": 0,
    })
}

#[test]
fn services_as_a_table_and_as_json() {
    let mut kernel = FakeKernel::with(WEB);
    assert_eq!(
        printed(&mut kernel, "service list").unwrap(),
        "\
SERVICE              SCHEDULER  DESTS  ACTIVE  INACTIVE
tcp/203.0.113.10:80  rr             2       0         0
udp/203.0.113.10:53  wrr            0       0         0
"
    );
    let document = document(&mut kernel, "service list");
    assert_eq!(
        document["services"][0],
        json!({
            "id": "tcp/203.0.113.10:80", "protocol": "tcp", "address": "203.0.113.10", "port": 80,
            "mark": null,
            "scheduler": "rr", "flags": [], "mh_size": 4093, "expiration": 86400,
            "account": false, "helper": "off", "one_packet": false, "toa": "default", "random_start": false, "slow_start": 0, "persistence": 0, "persistence_prefix": 0,
            "persistence_quiesced": false, "persistence_engine": "off", "templates": 0, "tcp_timeouts": {}, "udp_timeout": null,
            "expire_nodest": "default", "expire_quiesced": "default", "dests": 2, "active": 0, "inactive": 0, "stats": stats(),
            "rates": stats(),
        })
    );
    assert!(document["generation"].is_u64());
}

#[test]
fn options_and_thresholds_have_columns_where_there_are_any() {
    let mut kernel = FakeKernel::default();
    for command in [
        "service add tcp/203.0.113.10:80 -s sh --sched-flags sh-fallback,sh-port",
        "service add udp/203.0.113.10:53 -s rr --ops",
        "service add tcp/203.0.113.10:81 -s rr",
        "dest add tcp/203.0.113.10:80 192.0.2.1:80 --upper 8 --lower 5",
    ] {
        printed(&mut kernel, command).unwrap();
    }
    assert_eq!(
        printed(&mut kernel, "service list").unwrap(),
        "\
SERVICE              SCHEDULER  OPTIONS              DESTS  ACTIVE  INACTIVE
tcp/203.0.113.10:80  sh         sh-fallback,sh-port      1       0         0
udp/203.0.113.10:53  rr         ops                      0       0         0
tcp/203.0.113.10:81  rr         -                        0       0         0
"
    );
    assert_eq!(
        printed(&mut kernel, "dest list").unwrap(),
        "\
SERVICE              DEST          MODE  WEIGHT  ACTIVE  INACTIVE  UPPER  LOWER
tcp/203.0.113.10:80  192.0.2.1:80  dr         1       0         0      8      5
"
    );
    let saved = printed(&mut kernel, "save").unwrap();
    assert_eq!(
        saved,
        "\
-A -t 203.0.113.10:80 -s sh -b sh-fallback,sh-port
-a -t 203.0.113.10:80 -r 192.0.2.1:80 -g -w 1 -x 8 -y 5
-A -u 203.0.113.10:53 -s rr -o
-A -t 203.0.113.10:81 -s rr
"
    );
    let before = kernel.services.clone();
    assert_eq!(FakeKernel::with(&saved).services, before);
    for command in [
        "service set udp/203.0.113.10:53 --ops=off",
        "service set tcp/203.0.113.10:80 --sched-flags none -s mh --mh-size 251",
        "dest set tcp/203.0.113.10:80 192.0.2.1:80 -x 0 -y 0",
    ] {
        printed(&mut kernel, command).unwrap();
    }
    assert_eq!(
        printed(&mut kernel, "service list").unwrap(),
        "\
SERVICE              SCHEDULER  OPTIONS      DESTS  ACTIVE  INACTIVE
tcp/203.0.113.10:80  mh         mh-size=251      1       0         0
udp/203.0.113.10:53  rr         -                0       0         0
tcp/203.0.113.10:81  rr         -                0       0         0
"
    );
}

#[test]
fn dests_as_a_table_and_as_json() {
    let mut kernel = FakeKernel::with(WEB);
    assert_eq!(
        printed(&mut kernel, "dest list tcp/203.0.113.10:80").unwrap(),
        "\
SERVICE              DEST          MODE  WEIGHT  ACTIVE  INACTIVE
tcp/203.0.113.10:80  192.0.2.1:80  dr         1       0         0
tcp/203.0.113.10:80  192.0.2.2:80  dr        10       0         0
"
    );
    let dest = json!({
        "service": "tcp/203.0.113.10:80", "id": "192.0.2.2:80", "address": "192.0.2.2",
        "port": 80, "mode": "dr", "weight": 10, "upper": 0, "lower": 0, "drain": null, "drain_ended": null,
        "tunnel": null, "no_port": 0, "no_reply": 0, "active": 0, "inactive": 0, "templates": 0, "stats": stats(),
        "rates": stats(),
    });
    let list = document(&mut kernel, "dest list");
    assert_eq!(list["dests"][1], dest);
    let shown = document(&mut kernel, "dest show tcp/203.0.113.10:80 192.0.2.2:80");
    assert_eq!(shown, json!({ "dest": dest }));
    let shown = document(&mut kernel, "service show tcp/203.0.113.10:80");
    assert_eq!(shown["service"]["id"], "tcp/203.0.113.10:80");
    assert_eq!(shown["dests"], list["dests"]);
    let saved = document(&mut kernel, "save");
    assert_eq!(saved["services"][0]["dests"], list["dests"]);
    assert!(saved["config"]["tcp_timeouts"].is_object());
}

#[test]
fn nothing_is_a_heading_and_an_empty_list() {
    let mut kernel = FakeKernel::default();
    let printed = printed(&mut kernel, "service list").unwrap();
    assert_eq!(printed, "SERVICE  SCHEDULER  DESTS  ACTIVE  INACTIVE\n");
    assert_eq!(document(&mut kernel, "service list")["services"], json!([]));
    assert_eq!(document(&mut kernel, "dest list"), json!({ "dests": [] }));
    assert_eq!(
        document(&mut kernel, "conn list"),
        json!({ "connections": [] })
    );
}

#[test]
fn changes_are_made_and_say_so_in_json_only() {
    let mut kernel = FakeKernel::default();
    let service = "tcp/203.0.113.10:80";
    assert_eq!(
        printed(&mut kernel, &format!("service add {service}")).unwrap(),
        ""
    );
    for line in [
        format!("dest add {service} 192.0.2.1:80"),
        format!("dest add {service} 192.0.2.2:80 --mode dr --weight 0"),
        format!("dest set {service} 192.0.2.1:80 --weight 9"),
        format!("dest del {service} 192.0.2.2:80"),
        format!("service set {service} --scheduler rr"),
        "service add udp/203.0.113.10:53 -s rr".to_owned(),
        "config set --udp-timeout 60".to_owned(),
    ] {
        assert_eq!(
            document(&mut kernel, &line),
            json!({ "ok": true }),
            "{line}"
        );
    }
    assert_eq!(
        printed(&mut kernel, "save").unwrap(),
        "\
-A -t 203.0.113.10:80 -s rr
-a -t 203.0.113.10:80 -r 192.0.2.1:80 -g -w 9
-A -u 203.0.113.10:53 -s rr
"
    );
    let all = printed(&mut kernel, "save --settings").unwrap();
    assert!(
        all.ends_with("-s rr\n#rvsadm config --udp-timeout 60\n#rvsadm end\n"),
        "{all}"
    );
    printed(&mut kernel, "service del udp/203.0.113.10:53").unwrap();
    assert_eq!(kernel.services.len(), 1);
    printed(&mut kernel, "service flush").unwrap();
    assert!(kernel.services.is_empty());
}

#[test]
fn the_kernels_refusals_have_a_hint() {
    let mut kernel = FakeKernel::with(WEB);
    let service = "tcp/203.0.113.10:80";
    for (line, reason, hint) in [
        (
            format!("service add {service}"),
            "exists already",
            "service set",
        ),
        (
            "service add tcp/203.0.113.11:80 -s nope".to_owned(),
            "no scheduler is called \"nope\"",
            "there are rr, wrr",
        ),
        (
            "service del tcp/203.0.113.11:80".to_owned(),
            "no service",
            "service list",
        ),
        (
            format!("dest add {service} 192.0.2.1:80"),
            "exists already",
            "dest set",
        ),
        (
            format!("dest del {service} 192.0.2.3:80"),
            "no dest",
            "dest list",
        ),
        (
            "dest add tcp/203.0.113.11:80 192.0.2.1:80".to_owned(),
            "no service",
            "service list",
        ),
    ] {
        let refused = refused(&mut kernel, &line);
        assert!(refused.reason.contains(reason), "{line}: {refused}");
        let given = refused.hint.as_ref().unwrap();
        assert!(given.contains(hint), "{line}: {refused}");
        assert!(refused.errno.is_some(), "{line}");
    }
}

#[test]
fn connections_are_filtered() {
    let mut kernel = FakeKernel::default();
    for (client, state) in [(1, conn_state::ESTABLISHED), (2, conn_state::FIN_WAIT)] {
        kernel.conns.push(Connection {
            protocol: Protocol::Tcp,
            client: ([198, 51, 100, client], 40_000).into(),
            service: ([203, 0, 113, 10], 80).into(),
            dest: ([192, 0, 2, client], 80).into(),
            mode: Some(Mode::Dr),
            state,
            expires_ms: Some(899_950),
            silent_ms: Some(1000 * u32::from(client)),
            local: None,
            account: None,
            by: None,
        });
    }
    assert_eq!(
        document(&mut kernel, "conn list --client 198.51.100.1"),
        json!({ "connections": [{
            "protocol": "tcp", "client": "198.51.100.1:40000", "service": "tcp/203.0.113.10:80",
            "scheduled_by": "tcp/203.0.113.10:80", "dest": "192.0.2.1:80", "mode": "dr",
            "state": "established", "expires_ms": 899_950, "idle_ms": 1000, "local": null, "account": null,
        }]})
    );
    for (filter, count) in [
        ("", 2),
        (" --state fin-wait", 1),
        (" --dest 192.0.2.2", 1),
        (" --dest 192.0.2.2 --state established", 0),
    ] {
        let counted = document(&mut kernel, &format!("conn list --count{filter}"));
        assert_eq!(counted, json!({ "count": count }), "{filter}");
        let printed = printed(&mut kernel, &format!("conn list{filter}")).unwrap();
        assert_eq!(printed.lines().count(), count + 1, "{filter}");
    }
    let printed = printed(&mut kernel, "conn list").unwrap();
    assert!(printed.contains("899.9 s"), "{printed}");
}

#[test]
fn networks_of_clients_are_listed() {
    let mut kernel = FakeKernel::default();
    let heading = "SERVICE  NETWORK  DEST  MODE  EXPIRES\n";
    assert_eq!(printed(&mut kernel, "conn templates").unwrap(), heading);
    kernel.templates.push(Reply {
        service: Some(ServiceInfo::new(ServiceId::Marked {
            mark: 7,
            ipv6: false,
        })),
        template: Some(Template {
            network: [198, 51, 100, 0].into(),
            prefix: 24,
            dest: DestId {
                address: [192, 0, 2, 1].into(),
                port: 0,
            },
            mode: Some(Mode::Dr),
            expires_ms: Some(299_900),
            call_id: None,
        }),
        ..Reply::default()
    });
    assert_eq!(
        document(&mut kernel, "conn templates fwmark/7"),
        json!({ "templates": [{
            "service": "fwmark/7", "network": "198.51.100.0/24", "call_id": null, "dest": "192.0.2.1:0",
            "mode": "dr", "expires_ms": 299_900,
        }]})
    );
    let printed = printed(&mut kernel, "conn templates").unwrap();
    let row = "fwmark/7  198.51.100.0/24  192.0.2.1:0  dr    299.9 s";
    assert_eq!(printed.lines().last(), Some(row));
}

#[test]
fn statistics_and_settings() {
    let mut kernel = FakeKernel::default();
    let shown = document(&mut kernel, "stats show --zero");
    assert_eq!(shown["traffic"], stats());
    assert_eq!(shown["rates"], stats());
    assert_eq!(shown["counters"]["drop_no_dest"], 0);
    let line = "config set --tcp-timeout established=60,fin-wait=5 --tcp-timeout close=1 \
                --conn-max 0 --expire-nodest on --expire-quiesced off --local-ports 6000-6999 --toa off \
                --sloppy-tcp on --conn-reuse closing --nat-as-fullnat off \
                --cache-bypass on --echo balance --places ip_vs --conntrack fast";
    printed(&mut kernel, line).unwrap();
    assert_eq!(
        document(&mut kernel, "config show"),
        json!({
            "tcp_timeouts": { "established": 60, "fin_wait": 5, "close": 1 },
            "udp_timeout": null, "conn_max": 0, "conn_max_others": null, "expire_nodest": "on",
            "expire_quiesced": "off",
            "local_port_min": 6000, "local_port_max": 6999, "toa": "off", "sloppy_tcp": true,
            "conn_reuse": "closing", "nat_as_fullnat": false,
            "drop_entry": null, "drop_packet": null, "drop_rate": null, "memory_min": null,
            "cache_bypass": true, "echo": "balance", "places": "ip_vs", "conntrack": "fast",
        })
    );
}

#[test]
fn local_addresses_as_a_table_and_as_json() {
    let mut kernel = FakeKernel::with(WEB);
    let service = "tcp/203.0.113.10:80";
    for line in [
        format!("laddr add {service} 192.0.2.201 192.0.2.200"),
        "laddr add --default 192.0.2.202 192.0.2.203".to_owned(),
        "laddr del --default 192.0.2.203".to_owned(),
    ] {
        assert_eq!(printed(&mut kernel, &line).unwrap(), "", "{line}");
    }
    assert_eq!(
        printed(&mut kernel, "laddr list").unwrap(),
        "\
SERVICE              ADDRESS
--default            192.0.2.202
tcp/203.0.113.10:80  192.0.2.201
tcp/203.0.113.10:80  192.0.2.200
"
    );
    let default = json!({ "service": null, "address": "192.0.2.202" });
    let own = ["192.0.2.201", "192.0.2.200"];
    let of_service = own.map(|address| json!({ "service": service, "address": address }));
    assert_eq!(
        document(&mut kernel, "laddr list --default"),
        json!({ "laddrs": [default] })
    );
    assert_eq!(
        document(&mut kernel, &format!("laddr list {service}")),
        json!({ "laddrs": of_service })
    );
    let saved = document(&mut kernel, "save");
    assert_eq!(saved["laddrs"], json!(["192.0.2.202"]));
    assert_eq!(saved["services"][0]["laddrs"], json!(own));
    assert_eq!(saved["services"][0]["service"]["id"], service);
}

#[test]
fn refused_local_addresses_say_how_to_mend_it() {
    let mut kernel = FakeKernel::with(WEB);
    kernel.foreign = Some([192, 0, 2, 9].into());
    printed(&mut kernel, "laddr add --default 192.0.2.200").unwrap();
    for (line, reason, hint) in [
        (
            "laddr add --default 192.0.2.200",
            "local address 192.0.2.200 is in the pool already",
            "rvsadm laddr list",
        ),
        (
            "laddr del tcp/203.0.113.10:80 192.0.2.200",
            "no local address 192.0.2.200 in the pool",
            "rvsadm laddr list",
        ),
        (
            "laddr add --default 192.0.2.9",
            "192.0.2.9 is not an address of this host",
            "ip addr add",
        ),
        (
            "laddr add --default 127.0.0.1",
            "127.0.0.1 cannot be a local address",
            "not loopback",
        ),
    ] {
        let refused = refused(&mut kernel, line);
        assert_eq!(refused.reason, reason, "{line}");
        assert!(refused.hint.unwrap().contains(hint), "{line}");
    }
}
