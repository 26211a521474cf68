// SPDX-License-Identifier: GPL-2.0

//! Traffic and counters on the wire: sets of plain `uint` attributes.

use netlink_packet_core::{DecodeError, Parseable};

use crate::attr::{received, Attr};
use crate::generated::{counters, restored, states, stats, sync_counters, Set};
use crate::names::attribute_name;

/// Makes a struct of an attribute set whose attributes are all `uint`.
macro_rules! uint_set {
    (
        $(#[$meta:meta])*
        $name:ident of $set:ident in $module:ident {
            $($(#[$field_meta:meta])* $field:ident = $kind:ident,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: u64,)+
        }

        impl $name {
            /// Every number with its name in the spec, in the spec's order.
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                vec![$((attribute_name(Set::$set, $module::$kind), self.$field),)+]
            }

            /// Its attributes, as the kernel sends them.
            pub fn attributes(&self) -> Vec<Attr> {
                vec![$(Attr::uint($module::$kind, self.$field),)+]
            }
        }

        impl Parseable<[u8]> for $name {
            fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
                let mut parsed = Self::default();
                for attribute in received(bytes) {
                    let attribute = attribute?;
                    match attribute.kind() {
                        $($module::$kind => parsed.$field = attribute.uint(stringify!($field))?,)+
                        _ => {}
                    }
                }
                Ok(parsed)
            }
        }
    };
}

uint_set! {
    /// Traffic of a service, a dest or the namespace, or its rates, whose attributes are the same.
    Stats of Stats in stats {
        /// Connections scheduled.
        connections = CONNECTIONS,
        /// Packets toward the dest.
        in_packets = IN_PACKETS,
        /// Packets from the dest.
        out_packets = OUT_PACKETS,
        /// Bytes toward the dest, from the IP header on.
        in_bytes = IN_BYTES,
        /// Bytes from the dest, from the IP header on.
        out_bytes = OUT_BYTES,
        /// Packets that were dropped.
        drops = DROPS,
        /// Connections that nothing came of.
        no_reply = NO_REPLY,
    }
}

uint_set! {
    /// What became of records.
    Restored of Restored in restored {
        /// Those that are there again.
        new = NEW,
        /// Connections that are there again, and wait for a dest that is not configured.
        held = HELD,
        /// Those that were there.
        known = KNOWN,
        /// Those that there was no room or no memory for.
        full = FULL,
        /// Those whose dest takes packets in another way, or whose service is not there.
        misfit = MISFIT,
    }
}

uint_set! {
    /// What happened in the namespace besides plain forwarding.
    Counters of Counters in counters {
        /// Connections in the table now.
        conns_now = CONNS_NOW,
        /// Connections that expired.
        conns_expired = CONNS_EXPIRED,
        /// Buckets of the connection table now.
        table_buckets = TABLE_BUCKETS,
        /// Times the table grew or shrank.
        table_resizes = TABLE_RESIZES,
        /// Packets whose headers are short or lie.
        drop_malformed = DROP_MALFORMED,
        /// New flows for which no dest was usable.
        drop_no_dest = DROP_NO_DEST,
        /// Packets dropped for want of memory.
        drop_no_memory = DROP_NO_MEMORY,
        /// New flows refused because conn-max was reached.
        drop_conn_max = DROP_CONN_MAX,
        /// Packets whose dest had no route or device.
        drop_no_route = DROP_NO_ROUTE,
        /// Packets of connections whose dest was removed.
        drop_dest_gone = DROP_DEST_GONE,
        /// Packets over the path's MTU that may not be fragmented.
        drop_too_big = DROP_TOO_BIG,
        /// TCP packets of no connection that do not open one.
        not_syn = NOT_SYN,
        /// Packets sent through the slower exit.
        slow_xmit = SLOW_XMIT,
        /// Times a dest's cached route was looked up again.
        route_refreshes = ROUTE_REFRESHES,
        /// New flows for which no local address had a port free.
        drop_no_port = DROP_NO_PORT,
        /// New flows dropped by drop-packet.
        drop_overload = DROP_OVERLOAD,
        /// Connections ended by drop-entry.
        conns_dropped = CONNS_DROPPED,
        /// Packets that rules, IPsec policies or a device did not let out.
        drop_output = DROP_OUTPUT,
        /// Connections that expired and that nothing had come of.
        no_reply = NO_REPLY,
        /// Templates there are now.
        templates_now = TEMPLATES_NOW,
        /// Templates that were not assured and had to go.
        templates_dropped = TEMPLATES_DROPPED,
        /// Packets whose source the host would not have taken.
        drop_martian = DROP_MARTIAN,
        /// Chains of rules in INPUT now that packets to services do not meet.
        input_rules = INPUT_RULES,
        /// Frames that a program for XDP had the module send on.
        xdp_taken = XDP_TAKEN,
        /// Frames for the stack: of no established flow.
        xdp_pass_new = XDP_PASS_NEW,
        /// Frames for the stack: unusual headers.
        xdp_pass_odd = XDP_PASS_ODD,
        /// Frames for the stack: their dest needs care.
        xdp_pass_care = XDP_PASS_CARE,
        /// Frames for the stack: the mode does more to them.
        xdp_pass_mode = XDP_PASS_MODE,
        /// Frames for the stack: no way is known, or rules see them.
        xdp_pass_way = XDP_PASS_WAY,
        /// Frames for the stack: too long, or their time to live is used up.
        xdp_pass_size = XDP_PASS_SIZE,
        /// Frames for the stack: the device takes none.
        xdp_pass_device = XDP_PASS_DEVICE,
        /// Packets of tracked flows that were taken early.
        conntrack_fast = CONNTRACK_FAST,
        /// Flows that a helper read of and that there was no room for.
        helper_no_room = HELPER_NO_ROOM,
    }
}

uint_set! {
    /// Connections in each state.
    States of States in states {
        /// In this one.
        none = NONE,
        /// In this one.
        established = ESTABLISHED,
        /// In this one.
        syn_sent = SYN_SENT,
        /// In this one.
        syn_recv = SYN_RECV,
        /// In this one.
        fin_wait = FIN_WAIT,
        /// In this one.
        time_wait = TIME_WAIT,
        /// In this one.
        close = CLOSE,
        /// In this one.
        close_wait = CLOSE_WAIT,
        /// In this one.
        last_ack = LAST_ACK,
        /// In this one.
        listen = LISTEN,
        /// In this one.
        synack = SYNACK,
        /// In this one.
        udp = UDP,
        /// In this one.
        sctp_none = SCTP_NONE,
        /// In this one.
        sctp_init1 = SCTP_INIT1,
        /// In this one.
        sctp_init = SCTP_INIT,
        /// In this one.
        sctp_cookie_sent = SCTP_COOKIE_SENT,
        /// In this one.
        sctp_cookie_replied = SCTP_COOKIE_REPLIED,
        /// In this one.
        sctp_cookie_wait = SCTP_COOKIE_WAIT,
        /// In this one.
        sctp_cookie = SCTP_COOKIE,
        /// In this one.
        sctp_cookie_echoed = SCTP_COOKIE_ECHOED,
        /// In this one.
        sctp_established = SCTP_ESTABLISHED,
        /// In this one.
        sctp_shutdown_sent = SCTP_SHUTDOWN_SENT,
        /// In this one.
        sctp_shutdown_received = SCTP_SHUTDOWN_RECEIVED,
        /// In this one.
        sctp_shutdown_ack_sent = SCTP_SHUTDOWN_ACK_SENT,
        /// In this one.
        sctp_rejected = SCTP_REJECTED,
        /// In this one.
        sctp_closed = SCTP_CLOSED,
    }
}

uint_set! {
    /// What directors told each other.
    SyncCounters of SyncCounters in sync_counters {
        /// Connections and templates that others were told of.
        told = TOLD,
        /// Those that too much waited ahead of.
        postponed = POSTPONED,
        /// Datagrams that were sent.
        sent = SENT,
        /// Datagrams that could not be sent.
        not_sent = NOT_SENT,
        /// Datagrams that came.
        received = RECEIVED,
        /// Connections and templates that were not known here.
        learned = LEARNED,
        /// Those that were known, and are now as they were told.
        updated = UPDATED,
        /// Those that were known better here.
        known = KNOWN,
        /// Those that there was no room or no memory for.
        full = FULL,
        /// Those whose dest takes packets in another way, or whose service is not there.
        misfit = MISFIT,
        /// Datagrams of others that did not come.
        lost = LOST,
        /// Datagrams that came twice, or behind later ones.
        late = LATE,
        /// Datagrams that may be old ones which somebody repeats.
        unproven = UNPROVEN,
        /// Times that another was asked for what is missing.
        asked = ASKED,
        /// Datagrams whose connections were told again to those who lacked them.
        told_again = TOLD_AGAIN,
        /// Times that all was told again.
        rounds = ROUNDS,
        /// Questions that were not answered.
        stale = STALE,
        /// Datagrams of another version.
        bad_version = BAD_VERSION,
        /// Datagrams that are not as long as they say.
        bad_length = BAD_LENGTH,
        /// Datagrams of directors with another id.
        bad_id = BAD_ID,
        /// Datagrams with an entry that is cut or unknown.
        bad_entry = BAD_ENTRY,
        /// Datagrams with an option that lies.
        bad_option = BAD_OPTION,
        /// Datagrams whose end lies.
        bad_tail = BAD_TAIL,
        /// Entries with an option that is not known.
        unknown_option = UNKNOWN_OPTION,
        /// Entries with flags that cannot be.
        bad_flags = BAD_FLAGS,
        /// Entries of a protocol that has no services.
        bad_protocol = BAD_PROTOCOL,
        /// Entries with a state that cannot be.
        bad_state = BAD_STATE,
        /// Entries with an address or a port that cannot be.
        bad_address = BAD_ADDRESS,
        /// Entries of a way for packets that RVS does not have.
        bad_mode = BAD_MODE,
        /// Datagrams that are not signed, where there is a key.
        unsigned = UNSIGNED,
        /// Datagrams that are signed with another key, or were changed.
        bad_key = BAD_KEY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::rates;

    #[test]
    fn every_number_of_the_spec_is_there() {
        let all = |set, max| (1..=max).map(move |kind| attribute_name(set, kind));
        let names = |entries: Vec<(&'static str, u64)>| entries.into_iter().map(|(name, _)| name);
        assert!(names(Stats::default().entries()).eq(all(Set::Stats, stats::MAX)));
        assert!(names(Stats::default().entries()).eq(all(Set::Rates, rates::MAX)));
        assert!(names(States::default().entries()).eq(all(Set::States, states::MAX)));
        assert!(names(Counters::default().entries()).eq(all(Set::Counters, counters::MAX)));
        let sync = SyncCounters::default().entries();
        assert!(names(sync).eq(all(Set::SyncCounters, sync_counters::MAX)));
    }
}
