//! What the rules say of the building (PUE, partial PUE, UPS losses) beside the simulator's truth.

use std::net::SocketAddr;

use super::WINDOW_SECONDS;
use super::query::{Http, Series};
use crate::sim::world::{Point, World};

/// Figures of the building, each as the rules have it and as it was.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Building {
    /// How long they were counted, seconds.
    seconds: f64,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    name: String,
    said: f64,
    truth: f64,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Ratio,
    Watts,
}

/// What the rules say.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    pue: f64,
    /// By part of the building, in the order of their names.
    ppue: Vec<(String, f64)>,
    ups_loss_watts: f64,
}

impl Building {
    /// Asks Prometheus; nothing as long as a rule has no value. `seconds` turns Unix seconds into the world's.
    ///
    /// # Errors
    /// When Prometheus does not answer.
    pub async fn ask(
        http: &Http,
        at: SocketAddr,
        world: &World,
        seconds: impl Fn(f64) -> f64,
    ) -> anyhow::Result<Option<Self>> {
        let one = async |query: &str| -> anyhow::Result<Option<f64>> {
            Ok(http.query(at, query).await?.first().and_then(Series::value))
        };
        let pue = one("datacenter:pue:ratio_rate5m").await?;
        // The recorded `datacenter:ups_loss_joules:rate5m` is a mean over five minutes, which the demo has not run for; a
        // ratio of two such is right before, as both sides lack the same.
        let rate = |point| {
            format!("rate(wattribute_facility_energy_joules_total{{point=\"{point}\"}}[{WINDOW_SECONDS}s])")
        };
        let loss = format!("{} - ignoring (point) {}", rate("ups_in"), rate("ups_out"));
        let loss = one(&loss).await?;
        let parts = http.query(at, "datacenter:ppue:ratio_rate5m").await?;
        // So the rules have counted from the first sample on.
        let counted = http.query(at, "wattribute_facility_energy_joules_total{point=\"ups_in\"}[5m]").await?;
        let (Some(pue), Some(ups_loss_watts)) = (pue, loss) else { return Ok(None) };
        let mut ppue: Vec<_> =
            parts.iter().filter_map(|s| Some((s.label("part").to_owned(), s.value()?))).collect();
        ppue.sort_by(|a, b| a.0.cmp(&b.0));
        let samples = counted.first().map(Series::samples).unwrap_or_default();
        let (Some((from, _)), Some((to, _))) = (samples.first(), samples.last()) else { return Ok(None) };
        Ok(compare(world, &Said { pue, ppue, ups_loss_watts }, (seconds(*from), seconds(*to))))
    }
}

/// What was said beside the truth between two seconds of the world; none without time between them.
fn compare(world: &World, said: &Said, (from, to): (f64, f64)) -> Option<Building> {
    let length = to - from;
    if length <= 0.0 {
        return None;
    }
    let watts = |point| (world.building(point, to).joules - world.building(point, from).joules) / length;
    let it = (world.it_joules(to) - world.it_joules(from)) / length;
    let loss = watts(Point::UpsIn) - watts(Point::UpsOut);
    let row = |name: String, said, truth, unit| Row { name, said, truth, unit };
    let mut rows = vec![row("PUE".to_owned(), said.pue, watts(Point::Utility) / it, Unit::Ratio)];
    for (part, ratio) in &said.ppue {
        let own = match part.as_str() {
            "ups" => loss,
            "cooling" => watts(Point::Cooling),
            "lighting" => watts(Point::Lighting),
            // The simulation has no other.
            _ => continue,
        };
        rows.push(row(format!("pPUE, {part}"), *ratio, (it + own) / it, Unit::Ratio));
    }
    rows.push(row("UPS losses".to_owned(), said.ups_loss_watts, loss, Unit::Watts));
    Some(Building { seconds: length, rows })
}

impl std::fmt::Display for Building {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:<16} {:>9} {:>9}   over {:.0} s", "building", "rules", "truth", self.seconds)?;
        for Row { name, said, truth, unit } in &self.rows {
            match unit {
                Unit::Ratio => writeln!(f, "{name:<16} {said:>9.3} {truth:>9.3}")?,
                Unit::Watts => writeln!(f, "{name:<16} {said:>7.1} W {truth:>7.1} W")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        let ppue = [("building", 1.1), ("cooling", 1.3), ("lighting", 1.03), ("ups", 1.04)];
        let ppue = ppue.into_iter().map(|(part, ratio)| (part.to_owned(), ratio)).collect();
        Said { pue: 1.45, ppue, ups_loss_watts: 62.5 }
    }

    #[test]
    fn each_figure_stands_beside_its_truth() {
        let world = World::new(1);
        let found = compare(&world, &said(), (10.0, 40.0)).unwrap();
        let names: Vec<_> = found.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["PUE", "pPUE, cooling", "pPUE, lighting", "pPUE, ups", "UPS losses"]);
        // PUE is 1, what the PDUs lose and the parts' excesses: nothing else stands between the grid and the servers.
        let it = (world.it_joules(40.0) - world.it_joules(10.0)) / 30.0;
        let out = |t| world.building(Point::UpsOut, t).joules;
        let pdus = ((out(40.0) - out(10.0)) / 30.0 - it) / it;
        let parts: f64 = found.rows[1..4].iter().map(|row| row.truth - 1.0).sum();
        assert!((found.rows[0].truth - 1.0 - pdus - parts).abs() < 1e-9, "{found:?}");
        assert!((found.rows[4].truth / it + 1.0 - found.rows[3].truth).abs() < 1e-9, "{found:?}");
        let text = found.to_string();
        assert!(text.contains("over 30 s") && text.contains("   62.5 W "), "{text}");
    }

    #[test]
    fn no_time_is_no_comparison() {
        assert_eq!(compare(&World::new(1), &said(), (10.0, 10.0)), None);
    }
}
