//! `docs/accuracy.md`, its picture and its table of figures, from the results. The prose that does not follow from them
//! is in `page.head.txt` and `page.tail.txt` beside this.

use std::fmt::Write as _;

use super::results::{Kind, Results};
use super::score::Reading;

const HEAD: &str = include_str!("page.head.txt");
const TAIL: &str = include_str!("page.tail.txt");

/// The page.
pub fn page(results: &Results, others: &[Results]) -> String {
    let mut page = format!("{HEAD}\n## Over all traces\n\n");
    page += "![Mean error of each method](accuracy.svg)\n\n";
    summary(&mut page, results);
    verdict(&mut page, results, others);
    nearer(&mut page, results);
    each_trace(&mut page, results);
    page += "\n## The traces\n\nBusy share `u` from 0 to 1, watts at the wall. Each lasts an hour.\n\n";
    page += "| trace | what happens | what decides it | the host's curve | the meter shows | read every |\n| --- | --- | --- | --- | --- | --- |\n";
    for trace in &results.traces {
        let curves: Vec<String> = trace.hosts.iter().map(|m| m.curve.formula()).collect();
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} s |",
            trace.name,
            trace.about,
            trace.why,
            curves.join("<br>"),
            trace.meter.words(),
            trace.poll
        );
    }
    page += "\n";
    page += TAIL;
    page
}

fn summary(page: &mut String, r: &Results) {
    *page += "| method | mean error | worst VM | unassigned | sum against the wall | idle in equal parts | dynamic alone |\n";
    *page += "| --- | --- | --- | --- | --- | --- | --- |\n";
    for (m, method) in r.methods.iter().enumerate() {
        let of = |f: &dyn Fn(usize) -> f64| (0..r.traces.len()).map(f).collect::<Vec<f64>>();
        let worst = (0..r.traces.len())
            .max_by(|a, b| r.scores[*a][m].worst.1.abs().total_cmp(&r.scores[*b][m].worst.1.abs()))
            .unwrap_or(0);
        let unassigned = of(&|t| r.scores[t][m].unassigned);
        let sums = of(&|t| r.scores[t][m].sum);
        let least = sums.iter().copied().fold(f64::INFINITY, f64::min);
        let most = sums.iter().copied().fold(0.0, f64::max);
        let name = match method.kind {
            Kind::Ours => format!("**{}**", method.name),
            Kind::Published => method.name.to_owned(),
            Kind::Stretched => format!("*{}*", method.name),
        };
        let _ = writeln!(
            page,
            "| {name} | {} | {} ({}) | {} | {} to {} | {} | {} |",
            percent(r.mean(m, Reading::Reserved)),
            signed(r.scores[worst][m].worst.1),
            r.traces[worst].name,
            percent(unassigned.iter().sum::<f64>() / unassigned.len() as f64),
            percent(least),
            percent(most),
            percent(r.mean(m, Reading::Equal)),
            percent(r.mean(m, Reading::Dynamic)),
        );
    }
}

/// What the table says, in words.
fn verdict(page: &mut String, r: &Results, others: &[Results]) {
    let published = r.best(Reading::Reserved, |m| m.kind == Kind::Published);
    let best = |reading: Reading| r.best(reading, |m| m.kind != Kind::Ours);
    let name = |m: usize| r.methods[m].name;
    let mean = |m: usize, reading: Reading| percent(r.mean(m, reading));
    *page += "\nBold: ours. Italic: a formula of others, fed with more than its program feeds it.\n\n";
    let _ = writeln!(
        page,
        "- **Mean error**: the default {}, with idle power configured {}; the nearest published method, {}, {}. With other loads \
         from other seeds: {}.",
        mean(0, Reading::Reserved),
        mean(1, Reading::Reserved),
        name(published),
        mean(published, Reading::Reserved),
        others
            .iter()
            .map(|o| {
                let best = o.best(Reading::Reserved, |m| m.kind == Kind::Published);
                let (ours, theirs) = (o.mean(0, Reading::Reserved), o.mean(best, Reading::Reserved));
                format!("{} and {} ({})", percent(ours), percent(theirs), o.methods[best].name)
            })
            .collect::<Vec<String>>()
            .join(", ")
    );
    *page += "- **Sum**: in every trace the parts of ours add up to what the meter told, to the microjoule. What is missing to the wall, \
              or above it, is the meter's.\n";
    let (equal, dynamic) = (best(Reading::Equal), best(Reading::Dynamic));
    let _ = writeln!(
        page,
        "- **Idle in equal parts**: who holds this takes `equal-idle`, {} learned, {} configured; nearest of others: {}, {}.",
        mean(2, Reading::Equal),
        mean(3, Reading::Equal),
        name(equal),
        mean(equal, Reading::Equal),
    );
    let _ = writeln!(
        page,
        "- **Dynamic alone**: who holds that a VM answers only for what it adds reads `part=\"dynamic\"`, {} learned, {} \
         configured; nearest of others: {}, {}.",
        mean(0, Reading::Dynamic),
        mean(1, Reading::Dynamic),
        name(dynamic),
        mean(dynamic, Reading::Dynamic),
    );
}

/// Where a method of others is nearer than the default.
fn nearer(page: &mut String, r: &Results) {
    *page += "\n## Where another is nearer\n\nTraces in which a method of others has a lesser mean error than the default.\n\n";
    let mut none = true;
    for (t, trace) in r.traces.iter().enumerate() {
        let ours = r.scores[t][0].error[0];
        let mut others: Vec<usize> = (0..r.methods.len())
            .filter(|m| r.methods[*m].kind != Kind::Ours && r.scores[t][*m].error[0] < ours)
            .collect();
        others.sort_by(|a, b| r.scores[t][*a].error[0].total_cmp(&r.scores[t][*b].error[0]));
        if others.is_empty() {
            continue;
        }
        none = false;
        let named: Vec<String> = others
            .iter()
            .map(|m| format!("{} {}", r.methods[*m].name, percent(r.scores[t][*m].error[0])))
            .collect();
        let configured = percent(r.scores[t][1].error[0]);
        let _ = writeln!(
            page,
            "- **{}**: {}; the default {}, with idle power configured {configured}. {}",
            trace.name,
            named.join(", "),
            percent(ours),
            trace.why
        );
    }
    if none {
        *page += "Nowhere.\n";
    }
}

/// Two tables of mean errors: ours, and others'.
fn each_trace(page: &mut String, r: &Results) {
    *page += "\n## Every trace\n\nMean error; the least of a row, over both tables, is bold. Worst VM, share unassigned and \
              sum of each: [accuracy.csv](accuracy.csv).\n";
    for ours in [true, false] {
        let shown: Vec<usize> =
            (0..r.methods.len()).filter(|m| (r.methods[*m].kind == Kind::Ours) == ours).collect();
        *page += "\n| trace |";
        shown.iter().for_each(|m| *page += &format!(" {} |", r.methods[*m].name));
        *page += "\n| --- |";
        shown.iter().for_each(|_| *page += " --- |");
        *page += "\n";
        for (t, trace) in r.traces.iter().enumerate() {
            let least = r.scores[t].iter().map(|s| s.error[0]).fold(f64::INFINITY, f64::min);
            let _ = write!(page, "| {} |", trace.name);
            for m in &shown {
                let error = r.scores[t][*m].error[0];
                let text = percent(error);
                let _ =
                    if error <= least { write!(page, " **{text}** |") } else { write!(page, " {text} |") };
            }
            *page += "\n";
        }
    }
}

/// Every figure, as comma separated values: shares, 1 is the whole.
pub fn figures(r: &Results) -> String {
    let mut text = "trace,method,mean_error,mean_error_idle_equal,mean_error_dynamic,worst_vm,worst_vm_error,unassigned,sum_against_wall\n".to_owned();
    for (t, trace) in r.traces.iter().enumerate() {
        for (method, s) in r.methods.iter().zip(&r.scores[t]) {
            let _ = writeln!(
                text,
                "\"{}\",\"{}\",{:.4},{:.4},{:.4},{},{:.4},{:.4},{:.4}",
                trace.name,
                method.name,
                s.error[0],
                s.error[1],
                s.error[2],
                s.worst.0,
                s.worst.1,
                unsigned_zero(s.unassigned),
                s.sum
            );
        }
    }
    text
}

/// Bars, least error on top.
pub fn picture(r: &Results) -> String {
    let mut order: Vec<usize> = (0..r.methods.len()).collect();
    let error = |m: usize| r.mean(m, Reading::Reserved);
    order.sort_by(|a, b| error(*a).total_cmp(&error(*b)));
    let most = order.last().map_or(1.0, |m| error(*m));
    let height = 24 * order.len() + 40;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"720\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"10\" y=\"22\" font-weight=\"bold\">Mean error over all traces, share of the VMs' energy</text>\n"
    );
    for (row, m) in order.iter().enumerate() {
        let method = &r.methods[*m];
        let colour = match method.kind {
            Kind::Ours => "#1b6ca8",
            Kind::Published => "#8a8a8a",
            Kind::Stretched => "#c9c9c9",
        };
        let (y, width) = (36 + 24 * row, 420.0 * error(*m) / most);
        let _ = writeln!(
            svg,
            "<text x=\"210\" y=\"{}\" text-anchor=\"end\">{}</text><rect x=\"218\" y=\"{y}\" width=\"{width:.1}\" height=\"17\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{}\">{}</text>",
            y + 13,
            method.name,
            224.0 + width,
            y + 13,
            percent(error(*m))
        );
    }
    svg + "</svg>\n"
}

fn percent(share: f64) -> String {
    format!("{:.1} %", unsigned_zero(share) * 100.0)
}

fn signed(share: f64) -> String {
    format!("{:+.0} %", share * 100.0)
}

/// Rounding errors around 0 show no sign.
fn unsigned_zero(share: f64) -> f64 {
    if share.abs() < 5e-5 { 0.0 } else { share }
}
