// SPDX-License-Identifier: GPL-2.0

//! Sequences of an operator's commands with flows that begin and end in between: what the rules of
//! updates, thresholds and schedulers make of them together, against plain models.

use proptest::prelude::*;
use rvs_engine::spec::{DestSpec, DestUpdate, Mode};
use rvs_engine::threshold::Thresholds;

use super::models::model;
use super::service::{flow, small, Dest, Service};

/// What an operator or the network does.
#[derive(Clone, Debug)]
enum Command {
    /// Add a dest, or one that was removed, by name.
    Add(u32, u32),
    /// Change one.
    Set(usize, DestUpdate),
    /// Remove one; its flows go on.
    Del(usize),
    /// New flows.
    Begin(usize),
    /// The oldest flows end.
    End(usize),
}

/// A dest as an operator thinks of it.
#[derive(Clone, Debug)]
struct Known {
    name: u32,
    spec: DestSpec,
    overloaded: bool,
}

/// Flows of dests by name, those of removed dests too, oldest first.
type Flows = Vec<u32>;

fn update() -> impl Strategy<Value = DestUpdate> {
    let weight = prop_oneof![Just(0), 1..8_u32];
    let limit = prop_oneof![2 => Just(0), 1 => 1..6_u32];
    let some = |number: BoxedStrategy<u32>| prop::option::of(number);
    (
        some(weight.boxed()),
        some(limit.boxed()),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(weight, upper, drains)| DestUpdate {
            weight,
            upper,
            // Half of it, so that they fit together.
            lower: upper.map(|upper| upper / 2),
            tunnel: None,
            drain: drains.then_some(60),
            mode: None,
        })
}

fn command() -> impl Strategy<Value = Command> {
    let which = 0..6_usize;
    prop_oneof![
        3 => (0..6_u32, 0..6_u32).prop_map(|(name, weight)| Command::Add(name, weight)),
        3 => (which.clone(), update()).prop_map(|(i, update)| Command::Set(i, update)),
        1 => which.prop_map(Command::Del),
        4 => (1..12_usize).prop_map(Command::Begin),
        3 => (1..12_usize).prop_map(Command::End),
    ]
}

/// The same rule in other words: full at the upper threshold, until there is room again.
fn is_overloaded(limits: Thresholds, was: bool, flows: u32) -> bool {
    let Thresholds { upper, lower } = limits;
    let room = if lower == 0 {
        f64::from(upper) * 0.75
    } else {
        f64::from(lower)
    };
    upper != 0 && (flows >= upper || (was && f64::from(flows) >= room))
}

/// Both sides of the comparison.
struct Sides {
    service: Service,
    known: Vec<Known>,
    flows: Flows,
}

impl Sides {
    fn count(&self, name: u32) -> u32 {
        self.flows.iter().filter(|owner| **owner == name).count() as u32
    }

    /// The list of dests as the schedulers see them.
    fn list(&self) -> Vec<Dest> {
        let old = |name| {
            self.service
                .dests
                .iter()
                .find(move |dest| dest.name == name)
        };
        let dests = self.known.iter().map(|known| {
            let mut dest = old(known.name).copied().unwrap_or(Dest::new(known.name, 0));
            dest.set_weight(known.spec.weight);
            dest.inactive = self.count(known.name);
            dest
        });
        dests.collect()
    }

    /// The engine looks at thresholds after each change of counts or settings, and so do we.
    fn look(&mut self) {
        for index in 0..self.known.len() {
            let flows = self.count(self.known[index].name);
            let known = &mut self.known[index];
            let limits = known.spec.thresholds;
            let expected = is_overloaded(limits, known.overloaded, flows);
            let found = limits.is_overloaded(known.overloaded, flows);
            assert_eq!(found, expected, "{known:?} with {flows} flows");
            known.overloaded = found;
            self.service.set_counts(index, 0, flows);
            self.service.set_overloaded(index, found);
        }
    }
}

fn run(name: &str, commands: &[Command]) {
    let mut model = model(name, small());
    let service = Service::with(name, vec![], small(), true);
    let (known, flows) = (vec![], vec![]);
    let mut sides = Sides {
        service,
        known,
        flows,
    };
    let mut begun = 0;
    for command in commands {
        match *command {
            Command::Add(name, weight) => {
                if sides.known.iter().any(|known| known.name == name) {
                    continue;
                }
                let spec = DestSpec::new(Mode::Dr, weight);
                let overloaded = false;
                sides.known.insert(
                    0,
                    Known {
                        name,
                        spec,
                        overloaded,
                    },
                );
                let list = sides.list();
                model.added(&list);
                sides.service.change(list);
            }
            Command::Set(i, update) if i < sides.known.len() => {
                let known = &mut sides.known[i];
                let old = known.spec;
                known.spec = update.of(&old);
                let expected = match (update.drain, update.weight) {
                    (Some(_), _) => 0,
                    (None, weight) => weight.unwrap_or(old.weight),
                };
                assert_eq!(known.spec.weight, expected);
                assert_eq!(
                    known.spec.thresholds.upper,
                    update.upper.unwrap_or(old.thresholds.upper)
                );
                let list = sides.list();
                model.changed(&list);
                sides.service.change(list);
            }
            Command::Del(i) if i < sides.known.len() => {
                let gone = sides.known.remove(i);
                let list = sides.list();
                model.deleted(&list, i, gone.name);
                sides.service.change(list);
            }
            Command::Begin(number) => {
                for _ in 0..number {
                    begun += 1;
                    let picked = sides.service.pick_for(&flow(begun));
                    let expected = model.pick(&sides.service.dests, &flow(begun), 0);
                    assert_eq!(picked, expected, "{name} {:?}", sides.known);
                    sides.flows.extend(picked);
                    sides.look();
                }
            }
            Command::End(number) => {
                let number = number.min(sides.flows.len());
                sides.flows.drain(..number);
            }
            _ => {}
        }
        sides.look();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..Default::default() })]

    #[test]
    fn commands_and_flows_do_what_a_model_says(
        name in prop::sample::select(vec!["rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf"]),
        commands in prop::collection::vec(command(), 1..80),
    ) {
        run(name, &commands);
    }
}
