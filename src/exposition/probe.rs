//! The page of one device that was read for one client. It has no past: gauges and the device's own counters, and
//! nothing that is integrated.

use std::collections::HashSet;
use std::time::Duration;

use super::catalog;
use super::encode::Encoder;
use super::negotiate::Format;
use crate::model::{Batch, Identity, LabelSet, Measure, PollError, PowerWindow, Reading, SystemSummary};

/// More than any device has: a hostile one must not fill the memory with its page.
const MAX_READINGS: usize = 16_384;

/// What came of a probe.
#[derive(Debug, Clone)]
pub struct Probed {
    /// The device as the client named it: the `meter` label.
    pub meter: String,
    /// Value of the `driver` label.
    pub driver: &'static str,
    /// How long it took.
    pub took: Duration,
    /// What the device said.
    pub result: Result<Batch, PollError>,
}

impl Probed {
    /// The page in `format`.
    #[must_use]
    pub fn page(&self, format: Format) -> Vec<u8> {
        let mut page = Encoder::new(format, Vec::new());
        if let Ok(batch) = &self.result {
            self.readings(&mut page, &batch.readings);
            self.channels(&mut page, batch);
        }
        let labels = LabelSet::new(&[("meter", &self.meter), ("driver", self.driver)]);
        page.family(&catalog::METER_UP).sample(&labels, self.result.is_ok());
        if let Ok(batch) = &self.result {
            self.identity(&mut page, batch.identity.as_ref().unwrap_or(&Identity::default()));
            self.windows(&mut page, &batch.windows);
            if let Some(system) = &batch.system {
                self.system(&mut page, system);
            }
        }
        page.family(&catalog::PROBE_SUCCESS).single(self.result.is_ok());
        page.family(&catalog::PROBE_DURATION_SECONDS).single(self.took);
        if let Err(error) = &self.result {
            let labels = LabelSet::new(&[("driver", self.driver), ("result", error.kind.label())]);
            page.family(&catalog::PROBE_FAILURE_INFO).info(&labels);
        }
        page.finish()
    }

    fn readings(&self, page: &mut Encoder, readings: &[Reading]) {
        let mut seen = HashSet::new();
        let readings: Vec<_> = readings
            .iter()
            .take(MAX_READINGS)
            .filter(|r| seen.insert((&r.channel, r.measure.quantity())))
            .map(|r| (LabelSet::new(&[("meter", &self.meter), ("channel", r.channel.as_str())]), &r.measure))
            .collect();
        for (family, quantity) in catalog::METER_GAUGES {
            let mut family = page.family(family);
            for (labels, measure) in readings.iter().filter(|(_, m)| m.quantity() == quantity) {
                family.sample(labels, measure.value());
            }
        }
        let mut energy = page.family(&catalog::METER_ENERGY_JOULES_TOTAL);
        for (labels, measure) in &readings {
            if let Measure::Energy(counter) = measure {
                energy.sample_with(labels, "origin=\"device\"", counter.total.get());
            }
        }
    }

    fn channels(&self, page: &mut Encoder, batch: &Batch) {
        let known: Vec<_> = batch.channels.iter().take(MAX_READINGS).collect();
        let mut accuracy = page.family(&catalog::METER_ACCURACY_RATIO);
        for reading in batch.readings.iter().take(MAX_READINGS) {
            if let Measure::Power(power) = reading.measure
                && let Some(info) = known.iter().find(|info| info.channel == reading.channel)
                && let Some(share) = info.accuracy.and_then(|accuracy| accuracy.share_of(power))
            {
                let labels = [("meter", self.meter.as_str()), ("channel", reading.channel.as_str())];
                accuracy.sample(&LabelSet::new(&labels), share.get());
            }
        }
        let mut named = page.family(&catalog::METER_CHANNEL_INFO);
        for info in known.iter().filter(|info| !info.name.is_empty()) {
            named.info(&LabelSet::new(&[
                ("meter", &self.meter),
                ("channel", info.channel.as_str()),
                ("name", &info.name),
            ]));
        }
    }

    fn identity(&self, page: &mut Encoder, who: &Identity) {
        page.family(&catalog::METER_INFO).info(&LabelSet::new(&[
            ("meter", &self.meter),
            ("driver", self.driver),
            ("vendor", &who.vendor),
            ("model", &who.model),
            ("serial", &who.serial),
            ("firmware", &who.firmware),
            ("profile", &who.profile),
        ]));
    }

    fn windows(&self, page: &mut Encoder, windows: &[PowerWindow]) {
        let windows: Vec<_> = windows
            .iter()
            .take(MAX_READINGS)
            .map(|window| {
                let channel = window.channel.as_str();
                let labels = [("meter", self.meter.as_str()), ("channel", channel), ("window", window.name)];
                (LabelSet::new(&labels), window)
            })
            .collect();
        let mut power = page.family(&catalog::METER_WINDOW_POWER_WATTS);
        for (labels, window) in &windows {
            for (watts, statistic) in [
                (window.average, "statistic=\"average\""),
                (window.minimum, "statistic=\"minimum\""),
                (window.maximum, "statistic=\"maximum\""),
            ] {
                if let Some(watts) = watts {
                    power.sample_with(labels, statistic, watts.get());
                }
            }
        }
        let mut length = page.family(&catalog::METER_WINDOW_SECONDS);
        windows.iter().for_each(|(labels, window)| length.sample(labels, window.length));
    }

    fn system(&self, page: &mut Encoder, system: &SystemSummary) {
        let labels = LabelSet::new(&[("meter", &self.meter)]);
        for (family, count) in [
            (&catalog::SYSTEM_PROCESSORS, system.processors.map(u64::from)),
            (&catalog::SYSTEM_CORES, system.cores.map(u64::from)),
            (&catalog::SYSTEM_THREADS, system.threads.map(u64::from)),
            (&catalog::SYSTEM_MEMORY_BYTES, system.memory_bytes),
        ] {
            let mut family = page.family(family);
            if let Some(count) = count {
                family.sample(&labels, count);
            }
        }
        page.family(&catalog::SYSTEM_INFO).info(&LabelSet::new(&[
            ("meter", &self.meter),
            ("hostname", &system.hostname),
            ("processor_model", &system.processor_model),
        ]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChannelId, EnergyCounter, ErrorKind, Joules, Watts};

    fn text(result: Result<Batch, PollError>) -> String {
        let took = Duration::from_millis(250);
        let probed = Probed { meter: "10.0.0.11".into(), driver: "redfish", took, result };
        String::from_utf8(probed.page(Format::Text)).unwrap()
    }

    #[test]
    fn a_page_holds_the_device_and_no_past() {
        let input = || ChannelId::new("input").unwrap();
        let watts = |w| Watts::new(w).unwrap();
        let joules = |j| Joules::new(j).unwrap();
        let counter = EnergyCounter { total: joules(3.6e6), quantum: joules(1.0), modulus: None };
        let page = text(Ok(Batch {
            readings: vec![
                Reading::measured(input(), Measure::Power(watts(137.25))),
                // A device that says a thing twice is heard once.
                Reading::measured(input(), Measure::Power(watts(1.0))),
                Reading::measured(input(), Measure::Energy(counter)),
            ],
            windows: vec![PowerWindow {
                channel: input(),
                name: "reporting",
                length: Duration::from_secs(60),
                average: Some(watts(140.0)),
                minimum: None,
                maximum: Some(watts(150.0)),
            }],
            system: Some(SystemSummary { cores: Some(64), ..SystemSummary::default() }),
            ..Batch::default()
        }));
        let samples: Vec<_> = page.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                r#"wattribute_meter_power_watts{meter="10.0.0.11",channel="input"} 137.25"#,
                r#"wattribute_meter_energy_joules_total{meter="10.0.0.11",channel="input",origin="device"} 3600000"#,
                r#"wattribute_meter_up{meter="10.0.0.11",driver="redfish"} 1"#,
                r#"wattribute_meter_info{meter="10.0.0.11",driver="redfish",vendor="",model="",serial="",firmware="",profile=""} 1"#,
                r#"wattribute_meter_window_power_watts{meter="10.0.0.11",channel="input",window="reporting",statistic="average"} 140"#,
                r#"wattribute_meter_window_power_watts{meter="10.0.0.11",channel="input",window="reporting",statistic="maximum"} 150"#,
                r#"wattribute_meter_window_seconds{meter="10.0.0.11",channel="input",window="reporting"} 60"#,
                r#"wattribute_system_cores{meter="10.0.0.11"} 64"#,
                r#"wattribute_system_info{meter="10.0.0.11",hostname="",processor_model=""} 1"#,
                "probe_success 1",
                "probe_duration_seconds 0.25",
            ]
        );
    }

    #[test]
    fn a_failure_says_its_kind_and_nothing_that_was_not_read() {
        let page = text(Err(PollError::new(ErrorKind::Auth, "refused", "correct it")));
        let samples: Vec<_> = page.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                r#"wattribute_meter_up{meter="10.0.0.11",driver="redfish"} 0"#,
                "probe_success 0",
                "probe_duration_seconds 0.25",
                r#"wattribute_probe_failure_info{driver="redfish",result="auth"} 1"#,
            ]
        );
    }
}
