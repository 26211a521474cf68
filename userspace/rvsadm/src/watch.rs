// SPDX-License-Identifier: GPL-2.0

//! `--watch`: a list printed again and again.

use std::io::{self, IsTerminal};
use std::time::{Duration, SystemTime};

use clap::Args;

use crate::clock;
use crate::context::Context;
use crate::failure::Failure;
use crate::units;

/// Moves to the upper left corner and clears what is below and to the right.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Seconds between two readings that may be asked for.
pub fn seconds(text: &str) -> Result<u32, String> {
    match units::seconds(text) {
        Ok(seconds) if (1..=86_400).contains(&seconds) => Ok(seconds),
        _ => Err("it is a number of seconds, 1 to 86400".to_owned()),
    }
}

/// Whether to print again and again.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Watch {
    /// Print it again each so many seconds, until interrupted; a terminal is cleared before, -j is a
    /// document a line
    #[arg(id = "watch", long = "watch", value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<u32>,
}

impl Watch {
    /// Prints once, or again and again until that fails: somebody closes the output, the module goes.
    pub fn repeat(
        self,
        context: &mut Context<'_>,
        mut print: impl FnMut(&mut Context<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Some(seconds) = self.seconds else {
            return print(context);
        };
        let clears = !context.json && io::stdout().is_terminal();
        let mut is_first = true;
        loop {
            if clears {
                write!(context.out, "{CLEAR}")?;
            } else if !context.json && !is_first {
                writeln!(context.out)?;
            }
            if !context.json {
                let now = clock::text(SystemTime::now());
                writeln!(context.out, "{now}, every {seconds} s")?;
            }
            print(context)?;
            context.out.flush()?;
            is_first = false;
            std::thread::sleep(Duration::from_secs(seconds.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeKernel;

    #[test]
    fn only_sensible_times_are_taken() {
        assert_eq!(seconds("1"), Ok(1));
        assert_eq!(seconds("86400"), Ok(86_400));
        for text in ["0", "86401", "-1", "0.5", "", "a"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn it_ends_with_the_first_failure() {
        let mut kernel = FakeKernel::default();
        let mut times = 0;
        let watch = Watch { seconds: Some(1) };
        let ended = kernel.run(true, |context| {
            watch.repeat(context, |context| {
                times += 1;
                if times == 2 {
                    return Err(Failure::new("go on", "the module went", None));
                }
                Ok(writeln!(context.out, "{{}}")?)
            })
        });
        assert!(matches!(ended, Err(Failure::Refused(_))));
        assert_eq!(times, 2);
    }
}
