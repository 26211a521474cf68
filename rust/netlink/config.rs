// SPDX-License-Identifier: GPL-2.0

//! config-get and config-set.

use kernel::error::Result;

use super::decode::{Decoder, MainAttrs};
use super::generated::{cmd, main};
use super::namespace::namespace;
use super::parameters::loaded_with;
use super::{encode, event, policy, refusal, settings};
use crate::kapi::genl::{attr_size, Attr, AttrPolicy, Doit, Place, Request};
use crate::table::{ConfigGuard, Settings};

/// Room that the module's parameters take at most.
const PARAMETERS_SIZE: usize = attr_size(64);

/// config-get.
pub(super) struct Get;

impl Doit for Get {
    const CMD: u8 = cmd::CONFIG_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::CONFIG_GET);

    fn doit(request: &Request<'_>) -> Result {
        let config = namespace(request)?.config();
        request.reply(
            cmd::CONFIG_GET,
            encode::SETTINGS_SIZE.saturating_add(PARAMETERS_SIZE),
            |w| {
                encode::settings(w, &config)?;
                w.str(main::PARAMETERS, loaded_with())
            },
        )
    }
}

/// config-set.
pub(super) struct Set;

impl Doit for Set {
    const CMD: u8 = cmd::CONFIG_SET;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::CONFIG_SET);

    fn doit(request: &Request<'_>) -> Result {
        let decoder = Decoder::new(request);
        let attrs: MainAttrs<'_> = decoder.table(request.attrs())?;
        let nest = decoder.require(&attrs, None, main::CONFIG, "config")?;
        let mut config = namespace(request)?.config();
        let settings = settings::decode(&decoder, nest, &config)?;
        set(request, &mut config, nest, settings)
    }
}

/// Sets the settings that [`settings::decode`] gave for `nest`, and sends their event.
pub(super) fn set<'a>(
    request: &Request<'a>,
    config: &mut ConfigGuard<'_>,
    nest: Attr<'a>,
    settings: Settings,
) -> Result {
    config.set_settings(settings).map_err(|error| {
        let (errno, place) = (refusal::errno(&error), Place::Attr(nest));
        Decoder::new(request).refuse(errno, place, format_args!("{error}"))
    })?;
    event::settings(request, config);
    Ok(())
}
