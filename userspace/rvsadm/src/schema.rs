// SPDX-License-Identifier: GPL-2.0

//! `rvsadm schema`: what the JSON documents look like, made from the types that print them.

use clap::Args;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{json, Map, Value};

use crate::context::Context;
use crate::envelope::{Done, VERSION};
use crate::failure::{Failure, Refused};
use crate::{
    conn, dest, doctor, explain, laddr, monitor, restore, rs, save, service, stats, sync,
    templates, toa, top, trace, upgrade, version, views, xdp,
};

pub const AFTER_HELP: &str = "\
Examples:
  rvsadm schema > rvsadm.schema.json
  rvsadm schema 'service list'

All documents have a \"version\", 1, which is another number should a field ever change or go; fields are only
ever added. The whole is a JSON Schema (draft 2020-12) of whose \"documents\" each is named by its command.";

/// Of what.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Only the document of this command, for instance 'service list'
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// What is printed where something is refused or fails.
#[derive(JsonSchema, serde::Serialize)]
#[schemars(rename = "Error")]
struct Failed {
    error: Refused,
}

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Does it.
pub fn run(arguments: &Arguments, context: &mut Context<'_>) -> Result<(), Failure> {
    let whole = whole();
    let printed = match &arguments.command {
        None => whole,
        Some(command) => one(&whole, command)?,
    };
    let text = serde_json::to_string_pretty(&printed).map_err(std::io::Error::from)?;
    Ok(writeln!(context.out, "{text}")?)
}

/// The schema of one document alone.
fn one(whole: &Value, command: &str) -> Result<Value, Failure> {
    let Some(document) = whole["documents"].get(command) else {
        let names = whole["documents"].as_object().into_iter().flatten();
        let names: Vec<_> = names.map(|(name, _)| name.as_str()).collect();
        let reason = format!("{command:?} prints no document");
        let hint = format!("there are: {}", names.join(", "));
        return Err(Failure::new("print a schema", reason, Some(&hint)));
    };
    let mut schema = document.clone();
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("$schema".to_owned(), DRAFT.into());
        fields.insert("$defs".to_owned(), whole["$defs"].clone());
    }
    Ok(schema)
}

/// A document of type `D`, with its version.
fn document<D: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    let content = generator.subschema_for::<D>().to_value();
    json!({
        "allOf": [
            content,
            { "properties": { "version": { "const": VERSION } }, "required": ["version"] },
        ],
    })
}

/// The schema of all documents.
fn whole() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut generator = settings.into_generator();
    let mut documents = Map::new();
    for (command, make) in DOCUMENTS {
        documents.insert(command.to_owned(), make(&mut generator));
    }
    json!({
        "$schema": DRAFT,
        "title": "Documents of rvsadm -j",
        "documents": documents,
        "$defs": generator.take_definitions(true),
    })
}

/// Makes the schema of a document.
type Make = fn(&mut SchemaGenerator) -> Value;

/// The commands that print documents of their own; the others print "done".
const DOCUMENTS: [(&str, Make); 35] = [
    ("config show", document::<views::ConfigView>),
    ("conn end", document::<conn::Ended>),
    ("conn list", document::<conn::list::ConnectionList>),
    ("conn list --count", document::<conn::list::Count>),
    ("conn restore", document::<conn::records::Restored>),
    ("conn save", document::<conn::records::Saved>),
    ("conn show", document::<conn::show::Shown>),
    ("conn templates", document::<templates::List>),
    ("dest drain --wait", document::<dest::Drained>),
    ("dest list", document::<dest::DestList>),
    ("dest show", document::<dest::DestShown>),
    ("doctor", document::<doctor::Report>),
    ("done", document::<Done>),
    ("error", document::<Failed>),
    ("explain", document::<explain::Answer>),
    ("laddr list", document::<laddr::List>),
    ("monitor", document::<monitor::EventView>),
    ("restore", document::<restore::Summary>),
    ("restore --check", document::<restore::Checked>),
    ("rs setup", document::<rs::Changes>),
    ("rs show", document::<rs::Shown>),
    ("rs undo", document::<rs::Changes>),
    ("save", document::<save::Document>),
    ("service list", document::<service::ServiceList>),
    ("service show", document::<views::ServiceWithDests>),
    ("stats show", document::<stats::Document>),
    ("sync show", document::<sync::Document>),
    ("xdp show", document::<xdp::Document>),
    ("toa lookup", document::<toa::Found>),
    ("toa show", document::<toa::Document>),
    ("toa stats", document::<toa::Stats>),
    ("top", document::<top::Document>),
    ("trace", document::<trace::View>),
    ("upgrade", document::<upgrade::Upgraded>),
    ("version", document::<version::Versions>),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The copy in the documentation, which others fetch.
    #[test]
    fn the_file_is_what_is_printed() {
        let kept = include_str!("../../../docs/rvsadm.schema.json");
        let kept: Value = serde_json::from_str(kept).unwrap();
        assert!(
            kept == whole(),
            "run: rvsadm schema > docs/rvsadm.schema.json"
        );
    }

    #[test]
    fn each_document_has_its_version_and_what_it_refers_to() {
        let whole = whole();
        for (command, _) in DOCUMENTS {
            let schema = one(&whole, command).unwrap();
            let name = schema["allOf"][0]["$ref"].as_str().unwrap();
            let name = name.strip_prefix("#/$defs/").unwrap();
            assert!(schema["$defs"][name].is_object(), "{command}");
        }
        let names = whole["$defs"].as_object().unwrap().keys();
        // Two types of one name would get numbers.
        assert!(names.into_iter().all(|name| !name.ends_with('2')));
        assert!(one(&whole, "service lists").is_err());
    }
}
