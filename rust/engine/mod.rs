// SPDX-License-Identifier: GPL-2.0

//! The pure part of RVS: parsing, states, scheduling, validation.
//!
//! Compiled three times from these files: into `rvs.ko`, into `toa.ko` (its part) and as the host
//! crate `rvs-engine`, where its tests run. Nothing here knows the kernel or `std`; time,
//! randomness and memory come in as arguments.

pub mod address;
pub mod change;
pub mod conntrack;
pub mod crc32c;
pub mod csum;
pub mod defence;
pub mod echo;
pub mod family;
pub mod hash;
pub mod helper;
pub mod id;
pub mod limits;
pub mod mode;
pub mod nat64;
pub mod number_table;
mod numbered;
pub mod opp;
pub mod path;
pub mod persistence;
pub mod persistence_engine;
pub mod places;
pub mod portpool;
pub mod prefix;
pub mod probe;
pub mod proto;
pub mod rate;
pub mod record;
pub mod reset;
pub mod rewrite;
pub mod sched;
pub mod selection;
pub mod seqadj;
pub mod service;
pub mod service_key;
pub mod sip;
pub mod slow;
pub mod spec;
pub mod spec_error;
pub mod sync;
pub mod threshold;
pub mod toa;
pub mod tunnel;
pub mod tuple;
pub mod uoa;
pub mod version;
pub mod wire;
