// SPDX-License-Identifier: GPL-2.0

//! What concerns the host whatever it is.

use super::facts::Facts;
use super::finding::Findings;

const TOOL: &str = env!("CARGO_PKG_VERSION");

pub fn check(facts: &Facts, findings: &mut Findings) {
    if facts.director.is_none() && facts.receiver.is_none() && facts.roles().is_empty() {
        findings.error(
            "module",
            "neither rvs.ko nor toa.ko is loaded",
            "nothing is balanced, and no program learns its clients' addresses",
            "modprobe rvs on a director, modprobe toa on a real server of mode fullnat",
        );
    }
    let director = facts.director.as_ref().and_then(|d| d.version.as_deref());
    let receiver = facts.receiver.as_ref().and_then(|r| r.version.as_deref());
    for (module, version) in [("rvs", director), ("toa", receiver)] {
        if let Some(version) = version.filter(|version| *version != TOOL) {
            findings.warning(
                "version",
                format!("{module}.ko is {version}, this rvsadm {TOOL}"),
                "one does not know what the other can, and settings may get lost when they are saved",
                format!("install both of one version; then: rvsadm unload; modprobe {module}"),
            );
        }
    }
    if facts.director.is_some() && facts.has_ipvs {
        findings.warning(
            "ip-vs",
            "ip_vs is loaded beside rvs",
            "both may have services of the same address; RVS is asked first, and ipvsadm shows those of ip_vs",
            "ipvsadm -C; rmmod ip_vs",
        );
    }
    for device in &facts.with_lro {
        findings.warning(
            "lro",
            format!("{device} puts received segments together in hardware (LRO)"),
            "they cannot be taken apart again as they were: what is sent on is too long, and connections crawl",
            format!("ethtool -K {device} lro off"),
        );
    }
}
