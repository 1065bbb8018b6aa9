//! `docs/metrics.md`, made from the catalog.

use std::fmt::Write as _;

use super::{ALL, Family, Kind};

const HEAD: &str = "\
<!-- Made from src/exposition/catalog/families.rs. To renew: WATTRIBUTE_BLESS=1 cargo test --test exposition -->

# Metrics

Every metric that the exporter serves at `/metrics`, in classic text 0.0.4 or OpenMetrics 1.0.0 as the client asks. Those
under \"Probes\" stand at [`/probe`](probe.md) only, beside those of the one meter that was read.
Units are base units. A value that is not known is absent, never 0. Counters go on over a restart where they are
[kept](operations.md#counters-over-restarts); a series that ended for good starts again at 0: use `rate()` and `increase()`. Info metrics are constant 1: join them by the labels they share, for example
`wattribute_host_power_watts * on (datacenter, host) group_left (rack) wattribute_host_info`.
";

/// The page as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    let mut section = "";
    for family in ALL {
        if family.section != section {
            section = family.section;
            let _ = write!(
                page,
                "\n## {section}\n\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n"
            );
        }
        row(&mut page, family);
    }
    labels(&mut page);
    page
}

fn row(page: &mut String, family: &Family) {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Info => "info",
    };
    let labels: Vec<_> = family.labels.iter().map(|label| format!("`{}`", label.name)).collect();
    let _ = writeln!(page, "| `{}` | {kind} | {} | {} |", family.name, labels.join(", "), family.help);
}

/// The labels, each meaning once; a name with several meanings says where each holds.
fn labels(page: &mut String) {
    let mut seen: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for family in ALL {
        for label in family.labels {
            match seen.iter_mut().find(|(name, about, _)| (*name, *about) == (label.name, label.about)) {
                Some((.., families)) => families.push(family.name),
                None => seen.push((label.name, label.about, vec![family.name])),
            }
        }
    }
    page.push_str("\n## Labels\n\n| label | meaning |\n| --- | --- |\n");
    for (name, about, families) in &seen {
        let ambiguous = seen.iter().filter(|(other, ..)| other == name).count() > 1;
        let place = if ambiguous { format!(" (on `{}`)", families.join("`, `")) } else { String::new() };
        let _ = writeln!(page, "| `{name}` | {about}{place} |");
    }
}
