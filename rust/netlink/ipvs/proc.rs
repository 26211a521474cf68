// SPDX-License-Identifier: GPL-2.0

//! `/proc/net/ip_vs`, `ip_vs_conn`, `ip_vs_stats` and `ip_vs_stats_percpu` in `ip_vs`'s formats.

use core::{
    ffi::CStr,
    fmt::{self, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::ControlFlow,
};

use super::{
    encode::netmask,
    ends::{Endpoint, Spaced},
    uapi::IP_VS_VERSION,
};
use crate::{
    engine::{
        persistence,
        proto::State,
        service::ServiceSpec,
        spec::{Mode, Protocol, ServiceId},
    },
    kapi::{
        netns::Net,
        percpu::cpus,
        proc::{Cursor, Show, Text},
        time,
    },
    table::{ConnCursor, ConnView, Dest, Netns, Service, TemplateCursor, TemplateView, Traffic},
};

/// Parts of a file that has several: what comes first, and then what there is any number of.
const HEADER: u32 = 0;
const BODY: u32 = 1;
const TEMPLATES: u32 = 2;

/// Lines that are shown at a time, and while a lock is held.
const LINES: u32 = 32;

/// Who looks after what no other director does.
const LOCAL: &str = "LOCAL  ";

/// `ip_vs`.
pub(super) struct Services;

impl Show for Services {
    const NAME: &'static CStr = c"ip_vs";

    fn show(net: &Net, cursor: &mut Cursor, out: &mut Text<'_>) -> Result<bool, fmt::Error> {
        let Some(netns) = Netns::of(net) else {
            return Ok(false);
        };
        let config = netns.config();
        if cursor.part == HEADER {
            let [_, major, minor, patch] = IP_VS_VERSION.to_be_bytes();
            let size = config.counters().table_buckets;
            writeln!(
                out,
                "IP Virtual Server version {major}.{minor}.{patch} (size={size})\n\
                 Prot LocalAddress:Port Scheduler Flags\n  \
                 -> RemoteAddress:Port Forward Weight ActiveConn InActConn"
            )?;
            cursor.part = BODY;
        }
        let mut left = LINES;
        for service in config.services().skip(cursor.item as usize) {
            if cursor.within == 0 {
                head(out, service)?;
                cursor.within = 1;
            }
            let shown = cursor.within.wrapping_sub(1) as usize;
            for member in service.dests().iter().rev().skip(shown) {
                if left == 0 {
                    return Ok(true);
                }
                left = left.wrapping_sub(1);
                dest(out, member.dest())?;
                cursor.within = cursor.within.saturating_add(1);
            }
            (cursor.item, cursor.within) = (cursor.item.saturating_add(1), 0);
            if left == 0 {
                return Ok(true);
            }
            left = left.wrapping_sub(1);
        }
        Ok(false)
    }
}

fn head(out: &mut Text<'_>, service: &Service) -> fmt::Result {
    let id = service.id();
    let spec = service.spec();
    let name = spec.scheduler.as_str();
    let persistent = Persistent(&spec, id.is_ipv6());
    let one_packet = if spec.one_packet { "ops " } else { "" };
    match id {
        ServiceId::Marked { mark, .. } => write!(out, "FWM  {mark:08X} {name} {one_packet}")?,
        ServiceId::Virtual {
            protocol: of,
            address,
            port,
        } => {
            let (protocol, end) = (protocol(of), Endpoint(address, port));
            write!(out, "{protocol}  {end} {name} ")?;
            // What a service is not leaves a space.
            if address.is_ipv4() {
                write!(out, "{one_packet} ")?;
            }
        }
    }
    writeln!(out, "{persistent}")
}

fn dest(out: &mut Text<'_>, dest: &Dest) -> fmt::Result {
    let address = Endpoint(dest.id().address, dest.id().port);
    writeln!(
        out,
        "  -> {address}      {:<7} {:<6} {:<10} {:<10}",
        forward(dest.spec().mode),
        dest.spec().weight,
        dest.active(),
        dest.inactive()
    )
}

/// What a service with persistence has behind its scheduler: ticks and netmask.
struct Persistent<'a>(&'a ServiceSpec, bool);

impl fmt::Display for Persistent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.persistence.seconds;
        if seconds == 0 {
            return Ok(());
        }
        let netmask = u32::from_be(netmask(self.0, self.1));
        write!(f, "persistent {} {netmask:08X}", time::seconds(seconds))
    }
}

/// `ip_vs_conn`.
pub(super) struct Connections;

impl Show for Connections {
    const NAME: &'static CStr = c"ip_vs_conn";

    fn show(net: &Net, cursor: &mut Cursor, out: &mut Text<'_>) -> Result<bool, fmt::Error> {
        let rest = "Expires PEName PEData";
        connections(net, cursor, out, (rest, false))
    }
}

/// Shows connections and what keeps clients with dests: how the header ends, and whether it says before the
/// seconds that are left who looks after each.
pub(super) fn connections(
    net: &Net,
    cursor: &mut Cursor,
    out: &mut Text<'_>,
    (header, with_origin): (&str, bool),
) -> Result<bool, fmt::Error> {
    let Some(netns) = Netns::of(net) else {
        return Ok(false);
    };
    match cursor.part {
        HEADER => {
            let ends = "FromIP   FPrt ToIP     TPrt DestIP   DPrt";
            writeln!(out, "Pro {ends} State       {header}")?;
            cursor.part = BODY;
        }
        BODY => {
            let from = ConnCursor {
                bucket: cursor.item as u32,
                skip: cursor.within,
            };
            match some_connections(netns, from, out, with_origin)? {
                Some(rest) => (cursor.item, cursor.within) = (rest.bucket.into(), rest.skip),
                None => (cursor.part, cursor.item, cursor.within) = (TEMPLATES, 0, 0),
            }
        }
        _ => {
            let config = netns.config();
            let Some(service) = config.services().nth(cursor.item as usize) else {
                return Ok(false);
            };
            let from = TemplateCursor::at(cursor.within as u8, cursor.key);
            match some_templates(service, from, out, with_origin)? {
                Some(rest) => {
                    let (tree, key) = rest.parts();
                    (cursor.within, cursor.key) = (tree.into(), key);
                }
                None => {
                    (cursor.within, cursor.key) = (0, [0; 16]);
                    cursor.item = cursor.item.saturating_add(1);
                }
            }
        }
    }
    Ok(true)
}

/// Shows some connections from the cursor on; where to go on, none at the end.
fn some_connections(
    netns: &Netns,
    from: ConnCursor,
    out: &mut Text<'_>,
    with_origin: bool,
) -> Result<Option<ConnCursor>, fmt::Error> {
    let (mut left, mut done) = (LINES, Ok(()));
    let (rest, _) = netns.connections(from, |view| {
        if left == 0 {
            return ControlFlow::Break(());
        }
        left = left.wrapping_sub(1);
        done = connection(out, view, with_origin);
        if done.is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    done.map(|()| rest)
}

/// `ip_vs_stats`.
pub(super) struct Statistics;

impl Show for Statistics {
    const NAME: &'static CStr = c"ip_vs_stats";

    fn show(net: &Net, _cursor: &mut Cursor, out: &mut Text<'_>) -> Result<bool, fmt::Error> {
        let Some(netns) = Netns::of(net) else {
            return Ok(false);
        };
        let config = netns.config();
        writeln!(
            out,
            "   Total Incoming Outgoing         Incoming         Outgoing\n   \
             Conns  Packets  Packets            Bytes            Bytes\n{}\n\n \
             Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n{}",
            Columns(config.traffic()),
            Columns(config.rates()),
        )?;
        Ok(false)
    }
}

/// `ip_vs_stats_percpu`.
pub(super) struct StatisticsByCpu;

impl Show for StatisticsByCpu {
    const NAME: &'static CStr = c"ip_vs_stats_percpu";

    fn show(net: &Net, _cursor: &mut Cursor, out: &mut Text<'_>) -> Result<bool, fmt::Error> {
        let Some(netns) = Netns::of(net) else {
            return Ok(false);
        };
        let config = netns.config();
        out.write_str(
            "       Total Incoming Outgoing         Incoming         Outgoing\n\
             CPU    Conns  Packets  Packets            Bytes            Bytes\n",
        )?;
        for cpu in cpus() {
            writeln!(
                out,
                "{:>3X} {}",
                cpu.number(),
                Columns(config.carried_on(cpu))
            )?;
        }
        writeln!(
            out,
            "  ~ {}\n\n     \
             Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n    {}",
            Columns(config.traffic()),
            Columns(config.rates()),
        )?;
        Ok(false)
    }
}

/// Traffic in columns.
struct Columns(Traffic);

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Traffic {
            connections,
            in_packets,
            out_packets,
            in_bytes,
            out_bytes,
            ..
        } = self.0;
        write!(
            f,
            "{connections:>8X} {in_packets:>8X} {out_packets:>8X} {in_bytes:>16X} {out_bytes:>16X}"
        )
    }
}

#[inline(never)] // Or the frame of a listing has all of it.
fn connection(out: &mut Text<'_>, view: &ConnView, with_origin: bool) -> fmt::Result {
    write!(out, "{:<3}", protocol(view.protocol))?;
    for end in [view.client, view.vip, view.dest] {
        write!(out, " {}", Spaced(end))?;
    }
    let seconds = view.expires_ms / 1000;
    let origin = match (with_origin, view.of_others) {
        (false, _) => "",
        (true, false) => LOCAL,
        (true, true) => "SYNC   ",
    };
    writeln!(out, " {:<11} {origin}{seconds:>7}", state(view.state))
}

#[inline(never)] // As above.
fn template(
    out: &mut Text<'_>,
    [protocol, origin]: [&str; 2],
    [network, vip, dest]: [SocketAddr; 3],
    view: &TemplateView,
) -> fmt::Result {
    writeln!(
        out,
        "{protocol:<3} {} {} {} {:<11} {origin}{:>7}{}",
        Spaced(network),
        Spaced(vip),
        Spaced(dest),
        if view.assured { "ASSURED" } else { "NONE" },
        view.expires_ms / 1000,
        // Those of sync are told without.
        Engine(if origin.is_empty() {
            view.call_id()
        } else {
            &[]
        })
    )
}

/// What the persistence engine knows of a call, and its name.
struct Engine<'a>(&'a [u8]);

impl fmt::Display for Engine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match core::str::from_utf8(self.0) {
            Ok("") | Err(_) => Ok(()),
            Ok(call) => write!(f, " sip {call}"),
        }
    }
}

/// Shows some networks of clients that stay with a dest: connections without ports of the client.
/// Where to go on, none at the end.
#[inline(never)] // As above.
fn some_templates(
    service: &Service,
    from: TemplateCursor,
    out: &mut Text<'_>,
    with_origin: bool,
) -> Result<Option<TemplateCursor>, fmt::Error> {
    let id = service.id();
    let (protocol, vip, port) = match id {
        ServiceId::Virtual {
            protocol: of,
            address,
            port,
        } => (protocol(of), address, port),
        // The mark stands for the address.
        ServiceId::Marked { mark, ipv6: false } => ("IP", Ipv4Addr::from_bits(mark).into(), 0),
        ServiceId::Marked { mark, ipv6: true } => {
            let address = Ipv6Addr::from_bits(u128::from(mark) << 96);
            ("IP", address.into(), 0)
        }
    };
    let (mut left, mut done) = (LINES, Ok(()));
    let rest = service.list_templates(from, |view| {
        if left == 0 {
            return ControlFlow::Break(());
        }
        left = left.wrapping_sub(1);
        let network = persistence::address(view.network, id.is_ipv6());
        // Where all ports are one service's, each flow has its own.
        let to = if port == 0 { 0 } else { view.dest.port };
        let ends = [
            SocketAddr::new(network, 0),
            SocketAddr::new(vip, port),
            SocketAddr::new(view.dest.address, to),
        ];
        let origin = if with_origin { LOCAL } else { "" };
        done = template(out, [protocol, origin], ends, view);
        if done.is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    done.map(|()| rest)
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    }
}

fn forward(mode: Mode) -> &'static str {
    match mode {
        Mode::Dr => "Route",
        Mode::Tun => "Tunnel",
        Mode::Local => "Local",
        Mode::Nat | Mode::FullNat => "Masq",
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::None => "NONE",
        State::Established => "ESTABLISHED",
        State::SynSent => "SYN_SENT",
        State::SynRecv => "SYN_RECV",
        State::FinWait => "FIN_WAIT",
        State::TimeWait => "TIME_WAIT",
        State::Close => "CLOSE",
        State::CloseWait => "CLOSE_WAIT",
        State::LastAck => "LAST_ACK",
        State::Listen => "LISTEN",
        State::SynAck => "SYNACK",
        State::Udp => "UDP",
        State::SctpNone => "NONE",
        State::SctpInit1 => "INIT1",
        State::SctpInit => "INIT",
        State::SctpCookieSent => "C-SENT",
        State::SctpCookieReplied => "C-REPLIED",
        State::SctpCookieWait => "C-WAIT",
        State::SctpCookie => "COOKIE",
        State::SctpCookieEchoed => "C-ECHOED",
        State::SctpEstablished => "ESTABLISHED",
        State::SctpShutdownSent => "S-SENT",
        State::SctpShutdownReceived => "S-RECEIVED",
        State::SctpShutdownAckSent => "S-ACK-SENT",
        State::SctpRejected => "REJECTED",
        State::SctpClosed => "CLOSED",
    }
}
