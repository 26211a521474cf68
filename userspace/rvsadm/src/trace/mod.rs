// SPDX-License-Identifier: GPL-2.0

//! `rvsadm trace`: what becomes of matching packets as they come, by the module's tracepoints.

mod instance;
mod line;

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use rvs_engine::prefix::Prefix;
use rvs_engine::spec::ServiceId;

use crate::clock;
use crate::complete;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::say;
use crate::units;
use crate::values;
use instance::Instance;
use line::Traced;
pub use line::View;

pub const AFTER_HELP: &str = "\
Examples:
  rvsadm trace --client 198.51.100.2
  rvsadm trace --service tcp/203.0.113.10:443 --timeout 10

Tells of flows that begin and where they go, of connections that end and why, and of packets that are dropped or
refused, with the counter they go to; packets of established connections are not looked at. Only of this network
namespace. The kernel keeps 1 MiB of it for this command, loses what is not read in time, and forgets it when the
command ends.

JSON, one document a line: {\"time\",\"event\":\"new-flow\"|\"conn-end\"|\"drop\",\"protocol\",\"client\",\"service\",\"dest\",\"mode\",\"state\",
\"why\",\"reason\"}; client and service are the ends of the packet where it is dropped.";

/// What to trace.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Only of these clients: an address, a network like 198.51.100.0/24, or ADDRESS:PORT
    #[arg(long, value_name = "CLIENT", value_parser = values::end)]
    client: Option<(Prefix, Option<u16>)>,
    /// Only to this service, PROTOCOL/ADDRESS:PORT; port 0 is all ports
    #[arg(long, value_name = "SERVICE", value_parser = values::service_id, add = complete::services())]
    service: Option<ServiceId>,
    /// End after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = units::seconds)]
    timeout: Option<u32>,
}

impl Arguments {
    /// Whether an event is asked for.
    fn takes(&self, event: &Traced) -> bool {
        let is = |(network, port): (Prefix, Option<u16>), end: SocketAddr| {
            network.contains(end.ip()) && port.is_none_or(|port| port == end.port())
        };
        // A packet that is dropped may be an answer.
        let either = |end: (Prefix, Option<u16>)| {
            is(end, event.client) || (event.is_of_packet() && is(end, event.virtual_end))
        };
        self.client.is_none_or(either)
            && self
                .service
                .is_none_or(|service| of_service(&service, event))
    }
}

fn of_service(service: &ServiceId, event: &Traced) -> bool {
    match *service {
        ServiceId::Marked { mark, .. } => event.mark == mark,
        ServiceId::Virtual {
            protocol,
            address,
            port,
        } => {
            let is = |end: SocketAddr| end.ip() == address && (port == 0 || end.port() == port);
            event.protocol == protocol.name()
                && (is(event.virtual_end) || (event.is_of_packet() && is(event.client)))
        }
    }
}

/// Does it.
pub fn run(arguments: &Arguments, context: &mut Context<'_>) -> Result<(), Failure> {
    let failed = |(reason, hint): (String, Option<&str>)| Failure::new("trace", reason, hint);
    let mut instance = Instance::open().map_err(failed)?;
    say("rvsadm: tracing");
    let timeout = arguments.timeout.map(u64::from).map(Duration::from_secs);
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut seen = 0;
    while arguments.count.is_none_or(|count| seen < count) {
        let Some(text) = instance.next(deadline).map_err(failed)? else {
            break;
        };
        let Some(event) = Traced::read(&text) else {
            continue;
        };
        if event.netns != instance.netns || !arguments.takes(&event) {
            continue;
        }
        seen += 1;
        let time = clock::text(SystemTime::now());
        if context.json {
            context.print_json(&event.view(time))?;
        } else {
            writeln!(context.out, "{time} {event}")?;
        }
        context.out.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(text: &str) -> Arguments {
        Line::parse_from(text.split_whitespace()).arguments
    }

    const FLOW: &str = "  nginx-7 [001] ..s1.  12.5: new_flow: netns=4026531840 tcp \
        client=[::ffff:198.51.100.2]:40000 vip=[::ffff:203.0.113.10]:80 dest=[::ffff:192.0.2.1]:8080 \
        mode=nat mark=0 state=3 why=-";
    const DROP: &str =
        "  <idle>-0 [000] ..s1.  13.5: drop: netns=4026531840 reason=drop-no-dest proto=6 \
        [::ffff:198.51.100.2]:40001 -> [::ffff:203.0.113.10]:80 len=60 mark=0 skbaddr=00000000f00f";

    #[test]
    fn what_is_asked_for_is_told() {
        let flow = Traced::read(FLOW).unwrap();
        let drop = Traced::read(DROP).unwrap();
        for (line, of_flow, of_drop) in [
            ("trace", true, true),
            ("trace --client 198.51.100.0/24", true, true),
            ("trace --client 198.51.100.2:40000", true, false),
            ("trace --client 198.51.100.3", false, false),
            ("trace --client 203.0.113.10", false, true),
            ("trace --service tcp/203.0.113.10:80", true, true),
            ("trace --service tcp/203.0.113.10:0", true, true),
            ("trace --service udp/203.0.113.10:80", false, false),
            ("trace --service fwmark/7", false, false),
        ] {
            let asked = arguments(line);
            assert_eq!(asked.takes(&flow), of_flow, "{line}");
            assert_eq!(asked.takes(&drop), of_drop, "{line}");
        }
        assert_eq!(
            flow.to_string(),
            "new-flow tcp 198.51.100.2:40000 -> 203.0.113.10:80 to 192.0.2.1:8080 by nat"
        );
        assert_eq!(
            drop.to_string(),
            "drop     tcp 198.51.100.2:40001 -> 203.0.113.10:80 drop-no-dest"
        );
    }
}
