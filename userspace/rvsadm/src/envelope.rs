// SPDX-License-Identifier: GPL-2.0

//! What all JSON documents have in common.

use schemars::JsonSchema;
use serde::Serialize;

/// Version of the documents. Fields are only ever added; were one to change or to go, this would be the
/// next number.
pub const VERSION: u32 = 1;

/// How a document begins that is printed piece by piece.
pub const BEGIN: &str = "{\"version\":1,";

/// A document with its version.
#[derive(Serialize)]
pub struct Envelope<'a, D> {
    version: u32,
    #[serde(flatten)]
    document: &'a D,
}

impl<'a, D> Envelope<'a, D> {
    /// Puts a document in it.
    pub fn new(document: &'a D) -> Self {
        Self {
            version: VERSION,
            document,
        }
    }
}

/// What is said of a change that was made.
#[derive(JsonSchema, Serialize)]
pub struct Done {
    pub ok: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_printing_begin_alike() {
        let text = serde_json::to_string(&Envelope::new(&Done { ok: true })).unwrap();
        assert_eq!(text, format!("{BEGIN}\"ok\":true}}"));
    }
}
