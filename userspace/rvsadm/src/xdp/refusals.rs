// SPDX-License-Identifier: GPL-2.0

//! What keeps a device from giving its frames, and how that is mended.

use std::fs;

use netlink_packet_route::link::InfoKind;
use rvs_xdp::device::Offloads;
use rvs_xdp::Error;

use super::links::Link;
use super::mode::Mode;
use crate::failure::Failure;

/// Where the module tells that packets are taken behind the rules of INPUT.
const BEHIND: &str = "/sys/module/rvs/parameters/local_in";

/// What the kernel makes machine code of programs by; other network namespaces than the first do not have it.
const JIT: &str = "/proc/sys/net/core/bpf_jit_enable";

/// Refuses where RVS would pass by what it has been told to heed.
pub fn of_host(what: &str) -> Result<(), Failure> {
    let behind = fs::read_to_string(BEHIND).is_ok_and(|value| value.trim() == "1");
    if behind {
        let reason = "packets are taken behind the rules of INPUT (local_in=1), and frames would pass these by";
        let hint = "load the module without local_in=1, or leave the device to the stack";
        return Err(Failure::new(what, reason, Some(hint)));
    }
    Ok(())
}

/// Refuses a device whose frames are not what came over the wire; what else there is to know.
pub fn of_link(what: &str, link: &Link, all: &[Link], mode: Mode) -> Result<Vec<String>, Failure> {
    let offloads = rvs_xdp::device::offloads(&link.name).unwrap_or_default();
    judge(link, all, mode, offloads)
        .map_err(|(reason, hint)| Failure::new(what, reason, Some(&hint)))
}

type Refusal = (String, String);

fn judge(
    link: &Link,
    all: &[Link],
    mode: Mode,
    offloads: Offloads,
) -> Result<Vec<String>, Refusal> {
    let name = &link.name;
    if !link.is_ethernet {
        let reason = format!("{name} is no device of Ethernet");
        return Err((
            reason,
            "attach the device that its packets come by".to_owned(),
        ));
    }
    if let Some(number) = link.program {
        let reason = format!("{name} has a program for XDP already, number {number}");
        let hint = format!(
            "a device has one: rvsadm xdp show, bpftool net; if nobody wants it, ip link set {name} xdp off"
        );
        return Err((reason, hint));
    }
    if offloads.puts_together {
        let reason = format!("{name} puts frames together (lro), and they would leave too long");
        return Err((reason, format!("ethtool -K {name} lro off")));
    }
    if link.is(InfoKind::Vlan) && mode == Mode::Native {
        let reason = format!("{name} is a VLAN, whose driver gives no frames");
        let below = all.iter().find(|one| Some(one.index) == link.below);
        let below = below.map_or("the device below", |one| &one.name);
        let hint = format!("rvsadm xdp attach {below}: it gives those of its VLANs, tags and all");
        return Err((reason, hint));
    }
    // By the stack's copy too: tags that a device takes out are beside its frames.
    let vlan = link.vlans(all).next();
    if let (Some(vlan), true) = (vlan, offloads.takes_tags) {
        let reason = format!(
            "{name} takes the tags out of frames (rxvlan), and those of {} would look like its own",
            vlan.name
        );
        return Err((reason, format!("ethtool -K {name} rxvlan off")));
    }
    let mut warnings = Vec::new();
    if link.is(InfoKind::Veth) {
        let (tags, off) = match vlan {
            Some(_) => (" and their tags", "tx off txvlan off"),
            None => ("", "tx off"),
        };
        warnings.push(format!(
            "{name} is a veth device: frames of its peer must have whole checksums{tags} (at the peer: ethtool -K PEER {off})"
        ));
    }
    if let Some(above) = link
        .part_of
        .and_then(|index| all.iter().find(|one| one.index == index))
    {
        warnings.push(format!(
            "{name} is a part of {}: only frames to {name}'s own address are taken",
            above.name
        ));
    }
    Ok(warnings)
}

/// What the kernel refused, and how it is mended.
pub fn of_kernel(what: &str, link: &Link, mode: Mode, error: &Error) -> Failure {
    const EOPNOTSUPP: i32 = 95;
    const EINVAL: i32 = 22;
    const ERANGE: i32 = 34;
    const EBUSY: i32 = 16;
    const EPERM: i32 = 1;
    /// The kernel's own, which user space has no name for: programs are not compiled.
    const ENOTSUPP: i32 = 524;
    let name = &link.name;
    let hint = match (error, error.number()) {
        (Error::NoBtf, _) => "modprobe rvs; if it is loaded, build it with pahole and the kernel's vmlinux at hand (make check-kernel)".to_owned(),
        (Error::NoFunction(_), _) => "rvsadm version tells both; load the module of this version".to_owned(),
        (Error::Program { .. }, Some(ENOTSUPP)) => format!("programs that call modules have to be compiled: echo 1 >{JIT}, in the host's first network namespace"),
        (_, Some(EPERM)) => "it takes CAP_BPF and CAP_NET_ADMIN".to_owned(),
        (_, Some(EBUSY)) => format!("ip link show {name} tells of the program that is there"),
        (_, Some(EOPNOTSUPP | EINVAL | ERANGE)) if mode == Mode::Native => {
            "its driver cannot, or not as it is set (MTU, queues, offloads: dmesg tells; virtio_net: its host has to \
             let it turn offloads off, ctrl_guest_offloads=on): --mode generic works with any"
                .to_owned()
        }
        _ => "dmesg may tell more".to_owned(),
    };
    Failure::new(what, error.to_string(), Some(&hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, kind: Option<&str>) -> Link {
        Link {
            index,
            name: name.to_owned(),
            is_ethernet: true,
            kind: kind.map(str::to_owned),
            ..Link::default()
        }
    }

    fn refused(link: &Link, all: &[Link], offloads: Offloads) -> String {
        judge(link, all, Mode::Native, offloads).unwrap_err().0
    }

    #[test]
    fn what_would_lose_or_mistake_frames_is_refused() {
        let eth0 = link(2, "eth0", None);
        let none = Offloads::default();
        assert_eq!(judge(&eth0, &[], Mode::Native, none), Ok(Vec::new()));
        let lo = Link {
            is_ethernet: false,
            ..link(1, "tun0", None)
        };
        assert!(refused(&lo, &[], none).contains("no device of Ethernet"));
        let has_one = Link {
            program: Some(7),
            ..eth0.clone()
        };
        assert!(refused(&has_one, &[], none).contains("number 7"));
        let lro = Offloads {
            puts_together: true,
            ..none
        };
        assert!(refused(&eth0, &[], lro).contains("lro"));
        let tags = Offloads {
            takes_tags: true,
            ..none
        };
        let vlan = Link {
            below: Some(2),
            ..link(3, "eth0.5", Some("vlan"))
        };
        assert!(refused(&eth0, &[vlan.clone()], tags).contains("eth0.5"));
        assert!(judge(&eth0, &[vlan.clone()], Mode::Generic, tags).is_err());
        // Of another device.
        let other = Link {
            below: Some(9),
            ..vlan.clone()
        };
        assert_eq!(judge(&eth0, &[other], Mode::Native, tags), Ok(Vec::new()));
        let all = [eth0, vlan.clone()];
        let (_, hint) = judge(&vlan, &all, Mode::Native, none).unwrap_err();
        assert!(hint.contains("attach eth0:"), "{hint}");
        assert_eq!(judge(&vlan, &all, Mode::Generic, none), Ok(Vec::new()));
    }

    #[test]
    fn what_drivers_refuse_is_mended_by_their_settings() {
        let error = Error::Kernel {
            what: "give the device the program",
            error: std::io::Error::from_raw_os_error(95),
        };
        let said = |mode| {
            format!(
                "{:?}",
                of_kernel("attach eth0", &link(2, "eth0", None), mode, &error)
            )
        };
        assert!(said(Mode::Native).contains("ctrl_guest_offloads=on"));
        assert!(!said(Mode::Generic).contains("ctrl_guest_offloads"));
    }

    #[test]
    fn what_is_to_know_is_said() {
        let veth = Link {
            part_of: Some(5),
            ..link(2, "veth0", Some("veth"))
        };
        let all = [link(5, "br0", Some("bridge"))];
        let said = judge(&veth, &all, Mode::Native, Offloads::default()).unwrap();
        assert!(said[0].contains("PEER tx off)") && said[1].contains("a part of br0"));
        let vlan = Link {
            below: Some(2),
            ..link(3, "veth0.5", Some("vlan"))
        };
        let said = judge(&veth, &[vlan], Mode::Native, Offloads::default()).unwrap();
        assert!(said[0].contains("tx off txvlan off"));
    }
}
