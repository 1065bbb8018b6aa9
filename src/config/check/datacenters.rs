//! Data centres: one factor for each basis, and no channel at two points of the building.

use std::collections::HashMap;

use super::Check;
use crate::config::field::{Field, List};
use crate::config::leaf::{Channel, Currency, Intensity, Label, Name};
use crate::config::problem::Mark;
use crate::config::schema::{self, Channels};
use crate::config::types::{Basis, ChannelRef, Datacenter, EmissionFactor, Point, Price};
use crate::model::DatacenterId;

impl Check<'_> {
    /// Checks one data centre.
    pub(super) fn datacenter(&self, raw: &schema::Datacenter, at: Mark) -> Option<Datacenter> {
        let name = self.need(&raw.name, at, "name", "give the data centre a name");
        let id = name.and_then(|Name(name)| DatacenterId::new(name).ok());
        let emission_factors = self.emission_factors(&raw.emission_factors);
        let price = raw.price.located().and_then(|(price, at)| self.price(price, at));
        let facility =
            raw.facility.get().map(|facility| self.facility(facility, id.as_ref())).unwrap_or_default();
        let model = raw.model.get().copied();
        let pool = raw.pool.get().copied().unwrap_or_default();
        Some(Datacenter { id: id?, emission_factors, price, model, pool, facility })
    }

    fn emission_factors(&self, list: &List<schema::EmissionFactor>) -> Vec<EmissionFactor> {
        let mut seen: HashMap<Basis, Mark> = HashMap::new();
        let mut factors = Vec::new();
        for (raw, at) in list.items() {
            let basis = self.need(&raw.basis, at, "basis", "write `location` or `market`");
            let value = self.need(&raw.value, at, "value", "write the factor, such as `380 g/kWh`");
            let (Some(basis), Some(Intensity(value))) = (basis, value) else { continue };
            if let Some(first) = seen.insert(*basis, at) {
                let what = format!("a second {} factor, after the one on {}", basis.name(), first.line());
                self.error(at, what, "keep one for each basis");
                continue;
            }
            let source = label(&raw.source);
            factors.push(EmissionFactor { basis: *basis, value: *value, source, tier: label(&raw.tier) });
        }
        factors
    }

    fn price(&self, raw: &schema::Price, at: Mark) -> Option<Price> {
        let value = self.need(&raw.value, at, "value", "write the price of a kilowatt-hour, such as 0.30");
        let currency = self.need(&raw.currency, at, "currency", "write its three-letter code, such as EUR");
        let (value, Currency(currency)) = (value?, currency?);
        Some(Price { per_kilowatt_hour: *value, currency: currency.clone() })
    }

    fn facility(&self, raw: &schema::Facility, ours: Option<&DatacenterId>) -> Vec<(Point, Vec<ChannelRef>)> {
        let points = [
            (Point::Utility, &raw.utility),
            (Point::Generator, &raw.generator),
            (Point::UpsIn, &raw.ups_in),
            (Point::UpsOut, &raw.ups_out),
            (Point::It, &raw.it),
            (Point::Cooling, &raw.cooling),
            (Point::Lighting, &raw.lighting),
            (Point::Building, &raw.building),
            (Point::Renewable, &raw.renewable),
            (Point::Reused, &raw.reused),
        ];
        let mut channels: Vec<(Point, &ChannelRef, Mark)> = points
            .iter()
            .flat_map(|(point, field)| {
                self.point(*point, field).into_iter().map(|(channel, at)| (*point, channel, at))
            })
            .collect();
        // In the order of the file, so that the later of two is the one in error.
        channels.sort_by_key(|(_, _, at)| *at);
        let mut seen: HashMap<&ChannelRef, Point> = HashMap::new();
        channels.retain(|(point, channel, at)| {
            if let Some(other) = seen.insert(channel, *point) {
                let what = format!("`{channel}` already counts for `{}`", other.name());
                self.error(*at, what, "let each channel count once");
                return false;
            }
            self.channel(channel, *at, ours)
        });
        points
            .iter()
            .map(|(point, _)| {
                let own = channels
                    .iter()
                    .filter(|(of, _, _)| of == point)
                    .map(|(_, channel, _)| (*channel).clone());
                (*point, own.collect::<Vec<_>>())
            })
            .filter(|(_, channels)| !channels.is_empty())
            .collect()
    }

    fn point<'f>(&self, point: Point, field: &'f Field<Channels>) -> Vec<(&'f ChannelRef, Mark)> {
        match field.located() {
            Some((Channels::Text(Channel(channel)), at)) => vec![(channel, at)],
            Some((Channels::List(list), at)) if list.is_empty() => {
                self.error(
                    at,
                    format!("`{}` is empty", point.name()),
                    "name at least one channel, or remove the key",
                );
                Vec::new()
            }
            Some((Channels::List(list), _)) => {
                list.iter().filter_map(Field::located).map(|(Channel(channel), at)| (channel, at)).collect()
            }
            None => Vec::new(),
        }
    }
}

/// Optional text, empty where there is none.
pub(super) fn label(field: &Field<Label>) -> String {
    field.get().map(|Label(text)| text.clone()).unwrap_or_default()
}
