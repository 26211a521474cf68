// SPDX-License-Identifier: GPL-2.0

//! `rvsadm conn templates`: clients that stay with a dest.

use rvs_engine::spec::{Mode, ServiceId};
use rvs_netlink::{Error, Lists, Reply, Request};
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{cell, seconds, Table};

/// The list as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "TemplateList")]
pub struct List {
    templates: Vec<View>,
}

/// One network of clients.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Template")]
pub struct View {
    service: String,
    network: String,
    call_id: Option<String>,
    dest: String,
    mode: Option<&'static str>,
    expires_ms: Option<u32>,
}

impl View {
    fn new(reply: Reply) -> Result<Self, Error> {
        let template = reply.template.ok_or(Error::Missing("network of clients"))?;
        let service = reply.service.ok_or(Error::Missing("service"))?;
        Ok(Self {
            service: service.id.to_string(),
            network: format!("{}/{}", template.network, template.prefix),
            call_id: template.call_id,
            dest: template.dest.to_string(),
            mode: template.mode.map(Mode::name),
            expires_ms: template.expires_ms,
        })
    }
}

/// Lists those of a service, or of all.
pub fn list(service: Option<ServiceId>, context: &mut Context<'_>) -> Result<(), Failure> {
    let failed = |error| Failure::kernel("list networks of clients", error);
    let replies = context.kernel.collect(&Request::TemplateList(service));
    let replies = replies.map_err(failed)?.into_iter();
    let templates = replies.map(View::new).collect::<Result<_, _>>();
    let templates = templates.map_err(failed)?;
    context.print(&List { templates }, table)
}

fn table(list: &List) -> Table {
    // Most services have no calls.
    let has_calls = list.templates.iter().any(|each| each.call_id.is_some());
    let columns = ["SERVICE", "NETWORK", "DEST", "MODE", "CALL-ID"];
    let shown = if has_calls { 5 } else { 4 };
    let mut table = Table::new(&columns[..shown], &["EXPIRES"]);
    for each in &list.templates {
        let mut row = vec![
            each.service.clone(),
            each.network.clone(),
            each.dest.clone(),
            cell(each.mode),
        ];
        if has_calls {
            row.push(cell(each.call_id.as_deref()));
        }
        row.push(cell(each.expires_ms.map(seconds)));
        table.row(row);
    }
    table
}
