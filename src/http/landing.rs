//! The page for people: build, devices with state and age, links. Every text from outside is escaped; no scripts.

use std::fmt::{self, Write as _};

use super::{DeviceStatus, Status};

/// The most rows of a table: a page for the eye, not an inventory. Troubled devices come first.
const MAX_ROWS: usize = 500;

/// The page's one style sheet.
pub(super) const STYLE_SHEET: &str = "\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color-scheme:light dark}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #8884}
td:first-child{white-space:nowrap}
.down{color:#c33;font-weight:600}
";

/// The page, with links to `metrics_path` and, if it is on, to `/probe`.
pub(super) fn html(status: &Status, metrics_path: &str, probes: bool) -> String {
    let mut page = String::with_capacity(4096);
    // Writing to a string cannot fail.
    let _ = write(&mut page, status, metrics_path, probes);
    page
}

fn write(page: &mut String, status: &Status, metrics_path: &str, probes: bool) -> fmt::Result {
    page.push_str(concat!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>wattribute</title>",
        "<meta name=\"viewport\" content=\"width=device-width\">",
        "<link rel=\"stylesheet\" href=\"/style.css\"></head>\n<body>\n<h1>wattribute</h1>\n",
        "<p>Meters a private cloud, and says whose watts they are.</p>\n",
    ));
    write!(page, "<p>Version {}", Escaped(&status.version))?;
    if !status.revision.is_empty() {
        write!(page, " (revision {})", Escaped(&status.revision))?;
    }
    writeln!(page, ", up {}.</p>", Age(status.uptime_seconds))?;
    let metrics = Escaped(metrics_path);
    let probe = if probes { " · <a href=\"/probe\">Probe</a>" } else { "" };
    writeln!(
        page,
        "<p><a href=\"{metrics}\">Metrics</a>{probe} · <a href=\"/-/healthy\">Healthy</a> · <a href=\"/-/ready\">Ready</a></p>"
    )?;
    table(page, "Devices", &status.devices)?;
    table(page, "Hypervisors", &status.hypervisors)?;
    page.push_str("</body>\n</html>\n");
    Ok(())
}

fn table(page: &mut String, title: &str, devices: &[DeviceStatus]) -> fmt::Result {
    let up = devices.iter().filter(|device| device.up).count();
    let off = devices.iter().filter(|device| !device.enabled).count();
    let off = if off > 0 { format!(", {off} off") } else { String::new() };
    writeln!(page, "<h2>{title}: {up} of {} up{off}</h2>", devices.len())?;
    if devices.is_empty() {
        page.push_str("<p>None configured.</p>\n");
        return Ok(());
    }
    page.push_str(concat!(
        "<table>\n<tr><th>Name</th><th>Driver</th><th>Address</th><th>State</th><th>Latest reading</th>",
        "<th>Latest error</th></tr>\n",
    ));
    let mut sorted: Vec<_> = devices.iter().collect();
    sorted.sort_by(|a, b| (a.up || !a.enabled, &a.name).cmp(&(b.up || !b.enabled, &b.name)));
    for device in sorted.iter().take(MAX_ROWS) {
        row(page, device)?;
    }
    page.push_str("</table>\n");
    if let Some(more) = devices.len().checked_sub(MAX_ROWS).filter(|more| *more > 0) {
        writeln!(page, "<p>And {more} more.</p>")?;
    }
    Ok(())
}

fn row(page: &mut String, device: &DeviceStatus) -> fmt::Result {
    let state = match (device.enabled, device.up, &device.error, device.age_seconds) {
        (false, ..) => "switched off",
        (true, true, ..) => "up",
        (true, false, None, None) => "not polled yet",
        (true, false, ..) => "<span class=\"down\">down</span>",
    };
    let (name, driver, address) = (Escaped(&device.name), Escaped(&device.driver), Escaped(&device.address));
    write!(page, "<tr><td>{name}</td><td>{driver}</td><td>{address}</td><td>{state}</td><td>")?;
    match device.age_seconds {
        Some(seconds) => write!(page, "{} ago", Age(seconds))?,
        None => page.push_str("never"),
    }
    writeln!(page, "</td><td>{}</td></tr>", Escaped(device.error.as_deref().unwrap_or_default()))
}

/// Text as HTML, also inside a quoted attribute.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Seconds as a person says them, in the largest unit of which there are two.
struct Age(f64);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0;
        let (count, unit) = match seconds {
            s if s < 10.0 => return write!(f, "{s:.1} s"),
            s if s < 120.0 => (s, "s"),
            s if s < 7_200.0 => (s / 60.0, "min"),
            s if s < 172_800.0 => (s / 3_600.0, "h"),
            s => (s / 86_400.0, "d"),
        };
        write!(f, "{:.0} {unit}", count.floor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, up: bool) -> DeviceStatus {
        DeviceStatus {
            name: name.into(),
            driver: "snmp".into(),
            address: "10.0.0.9:161".into(),
            enabled: true,
            up,
            age_seconds: up.then_some(3.2),
            error: None,
        }
    }

    fn status(devices: Vec<DeviceStatus>) -> Status {
        Status {
            version: "0.1.0".into(),
            revision: String::new(),
            uptime_seconds: 90.0,
            devices,
            hypervisors: vec![],
        }
    }

    #[test]
    fn what_a_device_says_is_text_and_never_markup() {
        let mut pdu = device("<script>alert(1)</script>", false);
        pdu.error = Some("said \"a' & b\"; ask <it>".into());
        let page = html(&status(vec![pdu]), "/metrics", false);
        assert!(!page.contains("<script") && !page.contains("/probe"));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(page.contains("said &quot;a&#39; &amp; b&quot;; ask &lt;it&gt;"));
    }

    #[test]
    fn troubled_devices_come_first_and_the_page_is_bounded() {
        let mut devices: Vec<_> = (0..MAX_ROWS + 7).map(|i| device(&format!("pdu-{i:04}"), true)).collect();
        devices.push(device("zulu", false));
        devices.push(DeviceStatus { enabled: false, ..device("aaa", false) });
        let page = html(&status(devices), "/metrics", true);
        assert!(page.find("zulu").unwrap() < page.find("pdu-0000").unwrap());
        assert!(page.contains("507 of 509 up, 1 off") && page.contains("And 9 more."));
        assert!(page.find("zulu").unwrap() < page.find("aaa").unwrap(), "what is off is no trouble");
        assert!(page.contains("switched off"));
        assert!(page.contains("href=\"/probe\""));
        assert!(page.contains("not polled yet") && page.contains("None configured."));
    }

    #[test]
    fn ages_are_said_in_the_unit_a_person_would_use() {
        for (seconds, text) in [
            (0.25, "0.2 s"),
            (59.9, "59 s"),
            (119.0, "119 s"),
            (121.0, "2 min"),
            (7_300.0, "2 h"),
            (180_000.0, "2 d"),
        ] {
            assert_eq!(Age(seconds).to_string(), text);
        }
    }
}
