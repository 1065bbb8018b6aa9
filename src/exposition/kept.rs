//! Counters as they are on disk. A page that showed more would be taken back by the next start after a crash, and a counter
//! that falls by a joule reads as one that began anew and counted all of its past again.

use std::collections::HashMap;

use super::catalog::{self, Family, Kind};
use super::encode::Encoder;
use super::negotiate::Format;

/// The section of what begins anew with the process.
const OWN: &str = "The exporter itself";

/// The lines of every family that is kept over restarts.
#[derive(Debug, Default)]
pub struct Kept {
    lines: HashMap<&'static str, Vec<u8>>,
}

impl Kept {
    /// Those that `render` writes; the rest of its page is dropped.
    #[must_use]
    pub fn of(render: impl FnOnce(&mut Encoder)) -> Self {
        let mut encoder = Encoder::of_kept(Format::Text);
        render(&mut encoder);
        let page = encoder.finish();
        let names: HashMap<&[u8], &'static str> =
            catalog::ALL.iter().filter(|f| is_kept(f)).map(|f| (f.name.as_bytes(), f.name)).collect();
        let mut lines: HashMap<&'static str, Vec<u8>> = HashMap::new();
        for line in page.split_inclusive(|byte| *byte == b'\n') {
            let end = line.iter().position(|byte| matches!(byte, b'{' | b' ')).unwrap_or(line.len());
            if let Some(name) = line.get(..end).and_then(|name| names.get(name)) {
                lines.entry(name).or_default().extend_from_slice(line);
            }
        }
        Self { lines }
    }

    /// The lines of a family; empty where it has none.
    #[must_use]
    pub fn lines(&self, family: &Family) -> &[u8] {
        self.lines.get(family.name).map_or(&[], Vec::as_slice)
    }
}

/// Whether a family outlives the process: all counters but the exporter's own, and up to when they hold all.
#[must_use]
pub fn is_kept(family: &Family) -> bool {
    (family.kind == Kind::Counter && family.section != OWN)
        || family.name == catalog::HOST_SETTLED_TIMESTAMP_SECONDS.name
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{LabelSet, Microjoules};

    fn write(page: &mut Encoder, joules: u64, up: bool) {
        let tenant = LabelSet::new(&[("datacenter", "d"), ("project_id", "a b{")]);
        page.family(&catalog::TENANT_ENERGY_JOULES_TOTAL)
            .sample(&tenant, Microjoules(u128::from(joules) * 1_000_000));
        page.family(&catalog::POLLS_TOTAL)
            .sample(&LabelSet::new(&[("driver", "snmp"), ("result", "ok")]), joules);
        page.family(&catalog::METER_UP).sample(&LabelSet::new(&[("meter", "m")]), up);
    }

    #[test]
    fn counters_stand_as_they_were_kept_and_all_else_moves_on() {
        let kept = Arc::new(Kept::of(|page| write(page, 7, false)));
        for format in [Format::Text, Format::OpenMetrics] {
            let mut page = Encoder::new(format, Vec::new());
            page.show(Arc::clone(&kept));
            write(&mut page, 9, true);
            let page = String::from_utf8(page.finish()).unwrap();
            let lines: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
            assert_eq!(
                lines,
                [
                    "wattribute_tenant_energy_joules_total{datacenter=\"d\",project_id=\"a b{\"} 7",
                    "wattribute_polls_total{driver=\"snmp\",result=\"ok\"} 9",
                    "wattribute_meter_up{meter=\"m\"} 1",
                ]
            );
            assert!(page.contains("# TYPE wattribute_tenant_energy_joules"), "{page}");
        }
    }

    #[test]
    fn what_was_not_kept_is_not_shown() {
        let mut page = Encoder::new(Format::Text, Vec::new());
        page.show(Arc::new(Kept::default()));
        write(&mut page, 9, true);
        let page = String::from_utf8(page.finish()).unwrap();
        assert!(!page.contains("tenant") && page.contains("wattribute_meter_up"), "{page}");
    }
}
