// SPDX-License-Identifier: GPL-2.0

//! The daemons of a namespace, and the workers that run them.

use core::sync::atomic::Ordering;

use kernel::{
    new_mutex,
    prelude::*,
    sync::{Mutex, MutexGuard},
};

use super::{
    backup::Backup,
    daemon::{Daemon, Role},
    master::Master,
};
use crate::{
    kapi::{
        group::{Group, Receiver},
        netns::{Net, PerNet, Registered, Registration},
        sign::Signer,
        work::{Work, Worker},
    },
    table::Netns,
};

/// Ports of a daemon at most, as `ip_vs` has it.
const PORTS_MAX: u32 = 64;

/// Why a daemon is not started.
pub(crate) enum Refused {
    /// One runs.
    Exists,
    /// The kernel says so.
    Error(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Those that run.
struct Running {
    master: Option<KBox<Master>>,
    backup: Option<KBox<Backup>>,
}

/// Those of one namespace.
#[pin_data]
pub(crate) struct Daemons {
    net: &'static Net,
    sender: Worker,
    listener: Worker,
    #[pin]
    running: Mutex<Running>,
}

static REGISTRATION: Registration<Daemons> = Registration::new();

/// The work of the daemon that tells.
struct Sends;

/// The work of the one that listens.
struct Listens;

impl PerNet for Daemons {
    fn init(net: &'static Net) -> Result<Pin<KBox<Self>>> {
        let running = Running {
            master: None,
            backup: None,
        };
        let daemons = KBox::pin_init(
            pin_init!(Self {
                net,
                sender: Worker::new(),
                listener: Worker::new(),
                running <- new_mutex!(running, "rvs sync daemons"),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        // SAFETY: Just made; `pre_exit` stops it.
        unsafe { Worker::start::<Self, Sends>(daemons.as_ref()) };
        // SAFETY: As above.
        unsafe { Worker::start::<Self, Listens>(daemons.as_ref()) };
        Ok(daemons)
    }

    fn pre_exit(&self) {
        let _ = self.stop(Role::Master);
        let _ = self.stop(Role::Backup);
        self.sender.stop();
        self.listener.stop();
    }

    fn registration() -> &'static Registration<Self> {
        &REGISTRATION
    }
}

impl Daemons {
    /// Those of a namespace; none when it is going away.
    pub(crate) fn of(net: &Net) -> Option<&Self> {
        REGISTRATION.get(net)
    }

    /// Every namespace has them until the result is dropped; after [`Netns`], which has what they tell.
    pub(crate) fn register() -> Result<Registered<Self>> {
        REGISTRATION.register()
    }

    /// Starts one. May sleep.
    pub(crate) fn start(
        &self,
        role: Role,
        daemon: Daemon,
        key: Option<Signer>,
    ) -> Result<(), Refused> {
        let netns = Netns::of(self.net).ok_or(ENODEV)?;
        let mut running = self.running();
        if running.get(role).is_some() {
            return Err(Refused::Exists);
        }
        let wanted = netns.peers.tuning.ports.load(Ordering::Relaxed);
        // Both have as many, so that each is told what the other takes.
        let ports = match running.ports() {
            Some(ports) => ports,
            None => wanted.clamp(1, PORTS_MAX) as usize,
        };
        match role {
            Role::Master => running.master = Some(Master::start(netns, daemon, ports, key)?),
            Role::Backup => {
                let open = |group| self.open(group);
                running.backup = Some(Backup::start(netns, daemon, ports, key, &open)?);
                netns.peers.listens.store(true, Ordering::Relaxed);
            }
        }
        drop(running);
        match role {
            Role::Master => self.sender.kick(0),
            Role::Backup => self.listener.kick(0),
        }
        Ok(())
    }

    /// Stops one. False when none runs. May sleep.
    pub(crate) fn stop(&self, role: Role) -> bool {
        let mut running = self.running();
        match role {
            Role::Master => {
                let master = running.master.take();
                if let (Some(_), Some(netns)) = (&master, Netns::of(self.net)) {
                    netns.end_telling();
                }
                master.is_some()
            }
            Role::Backup => {
                if let Some(netns) = Netns::of(self.net) {
                    netns.peers.listens.store(false, Ordering::Relaxed);
                }
                running.backup.take().is_some()
            }
        }
    }

    /// How the one that does this is set up; none when none runs.
    pub(crate) fn get(&self, role: Role) -> Option<Daemon> {
        self.running().get(role)
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock()
    }

    fn open(&self, group: Group) -> Result<Receiver> {
        // SAFETY: The worker was started by `init`. Receivers are in `running`, which `pre_exit` empties
        // before it stops the worker; nobody starts a daemon after that.
        unsafe { Receiver::open(self.net, group, &self.listener) }
    }
}

impl Running {
    /// Ports of the one that runs.
    fn ports(&self) -> Option<usize> {
        let master = self.master.as_ref().map(|master| master.ports);
        master.or_else(|| self.backup.as_ref().map(|backup| backup.ports))
    }

    fn get(&self, role: Role) -> Option<Daemon> {
        match role {
            Role::Master => self.master.as_ref().map(|master| master.daemon),
            Role::Backup => self.backup.as_ref().map(|backup| backup.daemon),
        }
    }
}

impl Work<Sends> for Daemons {
    fn run(&self) -> Option<u32> {
        let netns = Netns::of(self.net)?;
        Some(self.running().master.as_mut()?.run(netns))
    }

    fn worker(&self) -> &Worker {
        &self.sender
    }
}

impl Work<Listens> for Daemons {
    fn run(&self) -> Option<u32> {
        let netns = Netns::of(self.net)?;
        let open = |group| self.open(group);
        Some(self.running().backup.as_mut()?.run(netns, &open))
    }

    fn worker(&self) -> &Worker {
        &self.listener
    }
}
