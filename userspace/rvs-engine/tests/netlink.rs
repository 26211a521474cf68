// SPDX-License-Identifier: GPL-2.0

//! The engine's numbers and names are those of the netlink spec.

#[path = "../../../rust/netlink/generated.rs"]
mod generated;

use generated::{cmd, conn_reuse, conn_state, echo, mode, tcp_timeouts, Policy, Set, OPS};
use rvs_engine::echo::Echo;
use rvs_engine::proto::{tcp, State, STATES};
use rvs_engine::spec::{ConnReuse, Mode};

#[test]
fn states_are_those_of_the_spec() {
    assert_eq!(conn_state::MIN, 0);
    assert_eq!(conn_state::MAX as usize, STATES - 1);
    for state in State::all() {
        let name = conn_state::name(state.number().into());
        assert_eq!(name, Some(state.name()));
    }
}

#[test]
fn the_modules_have_the_version_of_the_tools() {
    use rvs_engine::version::{modinfo, VERSION};
    assert_eq!(VERSION, env!("CARGO_PKG_VERSION"));
    assert_eq!(
        modinfo()[..],
        [b"version=", VERSION.as_bytes(), b"\0"].concat()
    );
}

#[test]
fn modes_are_those_of_the_spec() {
    for number in 0..=mode::MAX + 1 {
        assert_eq!(
            Mode::from_number(number).map(Mode::name),
            mode::name(number)
        );
    }
}

#[test]
fn reuse_is_as_in_the_spec() {
    for number in 0..=conn_reuse::MAX + 1 {
        let reuse = u8::try_from(number).ok().and_then(ConnReuse::from_number);
        assert_eq!(reuse.map(ConnReuse::name), conn_reuse::name(number));
        assert!(reuse.is_none_or(|reuse| u32::from(reuse.number()) == number));
    }
}

#[test]
fn echo_is_as_in_the_spec() {
    for number in 0..=echo::MAX + 1 {
        let kind = u8::try_from(number).ok().and_then(Echo::from_number);
        assert_eq!(kind.map(Echo::name), echo::name(number));
    }
}

#[test]
fn timeouts_stand_in_the_states_order_from_one_on() {
    assert_eq!(tcp_timeouts::MAX as usize, tcp::STATES);
    assert_eq!(tcp_timeouts::NONE, u16::from(State::None.number()) + 1);
    assert_eq!(
        tcp_timeouts::FIN_WAIT,
        u16::from(State::FinWait.number()) + 1
    );
    assert_eq!(tcp_timeouts::SYNACK, u16::from(State::SynAck.number()) + 1);
}

#[test]
fn policies_and_requests_fit_together() {
    for set in Set::ALL {
        assert_eq!(set.policy()[0], Policy::Unspec, "{}", set.name());
    }
    let main = Set::Main.policy();
    for (op, next) in OPS.iter().zip(OPS.iter().skip(1)) {
        assert!(op.cmd < next.cmd && next.cmd <= cmd::MAX, "{}", next.name);
    }
    for op in OPS {
        assert!(op.do_request.is_some() || op.dump_request.is_some());
        let requests = [op.do_request, op.dump_request];
        for &attribute in requests.into_iter().flatten().flatten() {
            assert_ne!(main[usize::from(attribute)], Policy::Unspec, "{}", op.name);
        }
    }
}
