// SPDX-License-Identifier: GPL-2.0

//! How to mend what is refused.

use rvs_engine::sched;
use rvs_engine::spec::SpecError;
use rvs_netlink::{Error, Refusal};

// Error numbers of include/uapi/asm-generic, the same on every architecture that Linux has them
// under these names.
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
const EOPNOTSUPP: i32 = 95;
const EADDRNOTAVAIL: i32 = 99;
const EHOSTUNREACH: i32 = 113;
const ENETUNREACH: i32 = 101;

/// The hint for a description that breaks a rule.
pub fn of_spec(error: &SpecError) -> String {
    match error {
        SpecError::VirtualAddress(_) => {
            "a virtual address is one that a single host could have: not 0.x.x.x, not multicast, \
             not broadcast"
                .to_owned()
        }
        SpecError::Mark => "mark packets with nft: … meta mark set 7".to_owned(),
        SpecError::Persistence(_) => "0 is no persistence; 2678400 s are 31 days".to_owned(),
        SpecError::SlowStart(_) => "0 is at once; 2678400 s are 31 days".to_owned(),
        SpecError::ConnMax(_) | SpecError::ConnMaxOthers => {
            "the host's root sets it, outside of namespaces".to_owned()
        }
        SpecError::Engine(..) => {
            "of other protocols networks of clients stay; leave --pe out".to_owned()
        }
        SpecError::Helper(..) => {
            "helpers follow protocols of tcp; leave it out, or say off".to_owned()
        }
        SpecError::DropRate => "to drop none, set drop-packet off".to_owned(),
        SpecError::Drain(_) => "2678400 s are 31 days".to_owned(),
        SpecError::Prefix(_) => "0 to 32 of an IPv4 address, to 128 of an IPv6 one".to_owned(),
        SpecError::DestAddress(_) => {
            "a real server is one host: not 0.x.x.x, not multicast, not broadcast".to_owned()
        }
        SpecError::DestFamily(_) => {
            "an IPv4 service has IPv4 dests, an IPv6 service IPv6 dests, or IPv4 ones by fullnat"
                .to_owned()
        }
        SpecError::DestIsVirtualAddress(_) => {
            "name the real server by its own address; it has the virtual one on lo only".to_owned()
        }
        SpecError::LocalAddress(_) => {
            "a local address is one of this host's that real servers can \
                                        answer to: not loopback, not multicast"
                .to_owned()
        }
        SpecError::DestPort => "name it like 192.0.2.1:80".to_owned(),
        SpecError::SamePort { service: 0, .. } => "name the dest like 192.0.2.1:0".to_owned(),
        SpecError::SamePort { service, .. } => {
            format!("let the real server listen on port {service}, or balance that port")
        }
        SpecError::Weight(_) => {
            "weights are relative to each other: 1 and 2 do what 50000 and 100000 would".to_owned()
        }
        SpecError::ToaKind(_) => "254 is the default and what most receivers expect".to_owned(),
        SpecError::UoaKind(_) => "say on or off".to_owned(),
        SpecError::LocalPorts(_) => "for example 5000-65535, which is the default".to_owned(),
        SpecError::TunnelSctp(_) => {
            "SCTP's own checksum covers the packet, and the tunnel's would come out wrong"
                .to_owned()
        }
        SpecError::TunnelMode(_) => "take the tunnel away, or add --mode tun".to_owned(),
        SpecError::TunnelPort { .. } | SpecError::TunnelSum { .. } => {
            "it is --tun-type gue --tun-port PORT, with --tun-csum or --tun-remcsum if wanted; \
             gre may have --tun-csum"
                .to_owned()
        }
        SpecError::Thresholds { .. } => {
            "a dest that has the upper threshold of connections takes more when it has fewer than \
             the lower"
                .to_owned()
        }
        SpecError::MhSize(_) => {
            let sizes = sched::MH_SIZES.map(|size| size.to_string());
            format!("the sizes are {}", sizes.join(", "))
        }
        SpecError::OnePacket(_) => "a TCP connection needs its packets at one dest".to_owned(),
        SpecError::Expiration(_) | SpecError::Timeout(_) => {
            "a timeout is 1 second to 31 days, in seconds".to_owned()
        }
    }
}

/// Names of the schedulers there are, for people.
pub fn schedulers() -> String {
    format!("there are {}", sched::NAMES.join(", "))
}

/// The hint for a request without success.
pub fn of_error(error: &Error) -> Option<String> {
    let hint = match error {
        Error::NotLoaded => "load it: modprobe rvs (or insmod rvs.ko)",
        Error::ReceiverNotLoaded => "load it: modprobe toa (or insmod toa.ko)",
        Error::FouNotLoaded => {
            "load it: modprobe fou; kernels without it (CONFIG_NET_FOU) know no GUE"
        }
        Error::Refused(refusal) => return of_refusal(refusal),
        Error::Io(_, error) => return of_errno_of_module(error.raw_os_error()?),
        Error::TooLarge { .. } => {
            "run it with CAP_NET_ADMIN outside of user namespaces, or raise net.core.wmem_max"
        }
        Error::Interrupted { .. } => {
            "something changes it all the time; find it with: rvsadm monitor"
        }
        Error::Decode(_) | Error::Missing(_) => OTHER_VERSION,
        Error::Overrun | Error::Sink(_) => return None,
    };
    Some(hint.to_owned())
}

const OTHER_VERSION: &str =
    "the module and rvsadm may be of different versions; compare: rvsadm version";

fn of_refusal(refusal: &Refusal) -> Option<String> {
    let path = refusal.blame.as_ref().map_or("", |blame| &blame.path);
    let dest = path.starts_with("dest");
    let local = path.starts_with("laddr");
    let hint = match refusal.errno {
        _ if path.ends_with("scheduler") => return Some(schedulers()),
        EEXIST | ENOENT if local => "see what there is: rvsadm laddr list",
        EADDRNOTAVAIL => "give it to this host first: ip addr add ADDRESS/32 dev lo",
        EEXIST if dest => "change it with: rvsadm dest set",
        EEXIST => "change it with: rvsadm service set",
        ESRCH => "see what there is: rvsadm service list",
        ENOENT if dest => "see what there is: rvsadm dest list",
        ENOENT => "see what there is: rvsadm service list, rvsadm dest list",
        EHOSTUNREACH | ENETUNREACH => {
            let value = refusal
                .blame
                .as_ref()
                .and_then(|blame| blame.value.as_ref());
            let address = value.map_or("", String::as_str);
            let hint = format!("the director needs a route to it; see: ip route get {address}");
            return Some(hint.trim_end().to_owned());
        }
        // The text tells more than a guess could.
        EINVAL if refusal.text.is_some() => return None,
        errno => return of_errno_of_module(errno),
    };
    Some(hint.to_owned())
}

fn of_errno_of_module(errno: i32) -> Option<String> {
    match errno {
        EINVAL | EOPNOTSUPP => Some(OTHER_VERSION.to_owned()),
        errno => of_errno(errno),
    }
}

/// The hint for an error number that means the same wherever it comes from.
pub fn of_errno(errno: i32) -> Option<String> {
    let hint = match errno {
        EPERM | EACCES => {
            "run it as root, or with CAP_NET_ADMIN in the user namespace that owns this network \
             namespace"
        }
        ENOMEM => "the kernel is out of memory; see: free, dmesg",
        _ => return None,
    };
    Some(hint.to_owned())
}
