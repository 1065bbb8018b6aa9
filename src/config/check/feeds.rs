//! `feeds` of a host: channels that exist and feed nobody else, and power models that can be.

use std::collections::HashMap;
use std::time::Duration;

use super::Check;
use crate::config::bounds::plausible;
use crate::config::field::Field;
use crate::config::leaf::{Channel, Name, Power, PowerFactor, Span};
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::schema::feeds::{Curve, Line, Modelled, PerVcpu};
use crate::config::types::{self, ChannelRef, Feed};
use crate::model::{CURVE_POINTS, DatacenterId, PowerModel, Watts};

/// Whom a channel feeds already.
pub(super) type Fed = HashMap<ChannelRef, (String, Mark)>;

impl Check<'_> {
    pub(super) fn feeds(
        &self,
        raw: &schema::Host,
        at: Mark,
        ours: Option<&DatacenterId>,
        fed: &mut Fed,
    ) -> Vec<Feed> {
        self.need(
            &raw.feeds,
            at,
            "feeds",
            "name a channel, such as `- pdu-a/outlet/1`, or write `- rated: 500 W`",
        );
        let host = raw.name.get().map_or_else(|| "another host".to_owned(), |Name(name)| name.clone());
        let feeds = raw.feeds.items().filter_map(|(feed, at)| match feed {
            schema::Feed::Text(channel) => self.sum(&[(channel, at)], ours, &host, fed),
            schema::Feed::List(list) if list.is_empty() => {
                self.error(at, "a feed without channels", "name at least one, or remove the entry");
                None
            }
            schema::Feed::List(list) => {
                let channels: Vec<_> = list.iter().filter_map(Field::located).collect();
                self.sum(&channels, ours, &host, fed)
            }
            schema::Feed::Map(model) => self.modelled(model, at),
        });
        feeds.collect()
    }

    /// A shorter silence than from one reading to the next is none.
    pub(super) fn fallback_after(&self, raw: &Field<Span>, feeds: &[Feed]) -> Option<Duration> {
        let (after, at) = self.span(raw)?;
        let channels = feeds.iter().flat_map(|feed| match feed {
            Feed::Measured(channels) => channels.as_slice(),
            Feed::Rated(_) | Feed::Modelled(_) => &[],
        });
        let intervals = channels.filter_map(|c| Some((*self.intervals.get(&c.meter)?, &c.meter)));
        if let Some((interval, meter)) = intervals.max().filter(|(interval, _)| *interval > after) {
            let [after, interval] = [after, interval].map(humantime::format_duration);
            let what =
                format!("`fallback_after` is {after}, less than the `interval` of {meter}, {interval}");
            self.error(at, what, "write at least twice the interval, or leave it out");
        }
        Some(after)
    }

    /// Channels that add up, each of which feeds nothing else.
    fn sum(
        &self,
        channels: &[(&Channel, Mark)],
        ours: Option<&DatacenterId>,
        host: &str,
        fed: &mut Fed,
    ) -> Option<Feed> {
        let mut good = Vec::new();
        for (Channel(channel), at) in channels {
            if let Some((other, first)) = fed.get(channel) {
                let place = self.problems.borrow().describe(*first, *at);
                let what = if other == host {
                    format!("`{channel}` stands in this host's feeds already, {place}")
                } else {
                    format!("`{channel}` already feeds host {other}, {place}")
                };
                self.error(*at, what, "let each channel feed one host, once");
                continue;
            }
            fed.insert(channel.clone(), (host.to_owned(), *at));
            if self.channel(channel, *at, ours) {
                good.push(channel.clone());
            }
        }
        (!good.is_empty()).then_some(Feed::Measured(good))
    }

    fn modelled(&self, raw: &Modelled, at: Mark) -> Option<Feed> {
        let given = [!raw.rated.is_absent(), !raw.curve.is_absent(), !raw.per_vcpu.is_absent()];
        if given.into_iter().filter(|is| *is).count() > 1 {
            let fix = "keep one, and write the other as a feed of its own after it";
            self.error(at, "more than one of `rated`, `curve` and `per_vcpu` is given", fix);
            return None;
        }
        let foreign = [("power_factor", raw.power_factor.is_absent())];
        if let Some((curve, at)) = raw.curve.located() {
            self.refuse(&foreign, at, "`rated` only", "remove it");
            return self.curve(curve, at).map(Feed::Modelled);
        }
        if let Some((per_vcpu, at)) = raw.per_vcpu.located() {
            self.refuse(&foreign, at, "`rated` only", "remove it");
            return self.per_vcpu(per_vcpu, at).map(Feed::Modelled);
        }
        if raw.curve.is_absent() && raw.per_vcpu.is_absent() {
            self.need(&raw.rated, at, "rated", "write the rated power, such as `rated: 500 W`");
        }
        let Power(power) = raw.rated.get()?;
        let factor = match &raw.power_factor {
            Field::Absent => types::PowerFactor::default(),
            Field::Bad => return None,
            Field::Is(PowerFactor(factor), _) => *factor,
        };
        Some(match factor {
            types::PowerFactor::Share(share) => Feed::Rated(power.scaled(share)),
            types::PowerFactor::ByUtilisation => Feed::Modelled(PowerModel::Banded(*power)),
        })
    }

    fn curve(&self, raw: &Curve, at: Mark) -> Option<PowerModel> {
        match raw {
            Curve::Map(Line { idle, max }) => {
                let (idle, max) = self.line(("idle", idle), ("max", max), at)?;
                Some(PowerModel::Linear { idle, max })
            }
            Curve::List(points) => self.points(points, at),
        }
    }

    /// Eleven powers that never fall: SPECpower publishes them from full load down.
    fn points(&self, points: &[Field<Power>], at: Mark) -> Option<PowerModel> {
        if points.len() != CURVE_POINTS {
            let what = format!("`curve` has {} points", points.len());
            self.error(at, what, "write eleven: at active idle, at 10 %, 20 % ... 100 % of the load");
            return None;
        }
        let mut good = Vec::new();
        for (Power(power), at) in points.iter().filter_map(Field::located) {
            if let Err(why) = plausible(*power) {
                let why = why.to_string();
                let (what, fix) = why.split_once("; ").unwrap_or((&why, "write a power such as `58 W`"));
                self.error(at, format!("a point of `curve` {what}"), fix);
                return None;
            }
            if let Some(before) = good.last().filter(|before| *before > power) {
                let what = format!("`curve` falls from {before} to {power}");
                self.error(at, what, "begin with active idle and end with full load");
                return None;
            }
            good.push(*power);
        }
        <[Watts; CURVE_POINTS]>::try_from(good).ok().map(|points| PowerModel::Curve(Box::new(points)))
    }

    fn per_vcpu(&self, raw: &PerVcpu, at: Mark) -> Option<PowerModel> {
        let (min, max) = self.line(("min", &raw.min), ("max", &raw.max), at)?;
        Some(PowerModel::PerVcpu { min, max, vcpus: raw.vcpus.get().copied() })
    }

    /// Power at no and at full load.
    fn line(
        &self,
        (low, from): (&str, &Field<Power>),
        (high, to): (&str, &Field<Power>),
        at: Mark,
    ) -> Option<(Watts, Watts)> {
        self.need(from, at, low, "write the power at no load, in watts");
        self.need(to, at, high, "write the power at full load, in watts");
        let (Power(from), (Power(to), at)) = (from.get()?, to.located()?);
        if from > to {
            let what = format!("`{high}` is {to}, less than `{low}`, {from}");
            self.error(at, what, "exchange the two, or correct one");
            return None;
        }
        Some((*from, *to))
    }
}
