// SPDX-License-Identifier: GPL-2.0

//! Whole answers: of one message, or of many that changes come between.

use std::thread::sleep;
use std::time::Duration;

use crate::{steady, Error, Reply, Request, Transport};

/// Attempts at a list that changes interrupt.
const ATTEMPTS: u32 = 8;

/// Time before the second attempt; each further one waits twice as long.
const PAUSE: Duration = Duration::from_millis(10);

/// Attempts at a list of the configuration before changes are taken into account.
const PATIENCE: u32 = 2;

/// Whole answers of a [`Transport`].
pub trait Lists: Transport {
    /// Reads lists of the configuration as they are at one moment, whatever changes meanwhile; nothing
    /// where nobody tells of changes.
    fn at_one_moment(&mut self, requests: &[Request]) -> Result<Option<Vec<Vec<Reply>>>, Error> {
        steady::read(self, requests)
    }

    /// Makes a request and returns all answers; a list that a change interrupted is read again, and
    /// when that does not help one of the configuration is made of what was read and what changed.
    fn collect(&mut self, request: &Request) -> Result<Vec<Reply>, Error> {
        let mut pause = PAUSE;
        for attempt in 0..ATTEMPTS {
            if attempt == PATIENCE && request.is_of_configuration() {
                // With the services it is known how many dests there have to be.
                let requests = [Request::ServiceList, request.clone()];
                let lists = self.at_one_moment(&requests)?;
                if let Some(list) = lists.and_then(|mut lists| lists.pop()) {
                    return Ok(list);
                }
            }
            if attempt > 0 {
                sleep(pause);
                pause *= 2;
            }
            let mut replies = Vec::new();
            match self.call(request, &mut |reply| {
                replies.push(reply);
                Ok(())
            }) {
                Err(Error::Interrupted { .. }) => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(replies),
            }
        }
        Err(Error::Interrupted { attempts: ATTEMPTS })
    }

    /// Makes a request that has one answer.
    fn one(&mut self, request: &Request) -> Result<Reply, Error> {
        let reply = self.collect(request)?.pop();
        reply.ok_or(Error::Missing("message"))
    }
}

impl<T: Transport + ?Sized> Lists for T {}
