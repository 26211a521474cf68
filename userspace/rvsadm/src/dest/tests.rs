// SPDX-License-Identifier: GPL-2.0

use crate::fake::FakeKernel;
use crate::tests::printed;

const TWO: &str = "\
-A -t 203.0.113.10:80 -s rr
-a -t 203.0.113.10:80 -r 192.0.2.1:80 -g -w 1
-a -t 203.0.113.10:80 -r 192.0.2.2:80 -g -w 1
-A -t 203.0.113.10:443 -s rr
-a -t 203.0.113.10:443 -r 192.0.2.1:443 -g -w 5
-A -f 7 -s rr
-a -f 7 -r 192.0.2.3:0 -g -w 1
";

#[test]
fn a_server_in_all_services() {
    let mut kernel = FakeKernel::with(TWO);
    let mut adm = |line: &str| printed(&mut kernel, line);
    assert_eq!(
        adm("dest set --all --dest 192.0.2.1 --weight 0").unwrap(),
        "change dest 192.0.2.1:80 of tcp/203.0.113.10:80\n\
         change dest 192.0.2.1:443 of tcp/203.0.113.10:443\n"
    );
    let saved = adm("save").unwrap();
    assert_eq!(saved.matches("-w 0").count(), 2, "{saved}");
    assert_eq!(saved.matches("-w 1").count(), 2, "{saved}");
    assert_eq!(
        adm("dest del --all --dest 192.0.2.1:443").unwrap(),
        "remove dest 192.0.2.1:443 of tcp/203.0.113.10:443\n"
    );
    let saved = adm("save").unwrap();
    assert!(!saved.contains("192.0.2.1:443"), "{saved}");
    assert!(saved.contains("192.0.2.1:80"), "{saved}");
    let refused = adm("dest set --all --dest 192.0.2.9 --weight 0");
    assert!(format!("{refused:?}").contains("no service has it"));
    let refused = adm("dest set --all --dest 192.0.2.1 --weight 2147483648");
    assert!(format!("{refused:?}").contains("2147483648"), "{refused:?}");
}

#[test]
fn the_services_port() {
    let mut kernel = FakeKernel::with(TWO);
    for line in [
        "dest set tcp/203.0.113.10:443 192.0.2.1 --weight 7",
        "dest drain fwmark/7 192.0.2.3",
        "dest del tcp/203.0.113.10:80 192.0.2.2",
        "dest add tcp/203.0.113.10:80 192.0.2.4",
    ] {
        printed(&mut kernel, line).unwrap();
    }
    let saved = printed(&mut kernel, "save").unwrap();
    for line in ["-r 192.0.2.1:443 -g -w 7", "-r 192.0.2.4:80 -g -w 1"] {
        assert!(saved.contains(line), "{saved}");
    }
    assert!(!saved.contains("192.0.2.2"), "{saved}");
}
