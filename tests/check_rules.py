#!/usr/bin/env python3
"""Checks rules/, dashboards/ and deploy/prometheus.yml with promtool and a real Prometheus.

Prints a line a claim and `N passed, N failed` last; exits 1 when one failed or none ran. Needs `prometheus` and
`promtool` (Debian package prometheus) and nothing else beyond Python.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from dashboards import layout, live, queries, series  # noqa: E402 (the path is set above)

RULES = sorted((ROOT / "rules").glob("*.yaml"))
RULE_TESTS = sorted((ROOT / "rules" / "tests").glob("*.yaml"))
BOARDS = sorted((ROOT / "dashboards").glob("*.json"))
CONFIG = ROOT / "deploy" / "prometheus.yml"
# A record older than Prometheus' lookback is not found: slower groups would blink.
LOOKBACK_MINUTES = 5


class Report:
    """Counts claims and prints each."""

    passed = failed = 0

    def claim(self, text, problems):
        """Passes if `problems` is empty."""
        if problems:
            self.failed += 1
            print(f"FAIL {text}")
            for problem in problems:
                print("     " + str(problem).replace("\n", "\n     "))
        else:
            self.passed += 1
            print(f"ok   {text}")


def promtool(*arguments):
    """What promtool says if it fails, else nothing."""
    run = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)
    return [] if run.returncode == 0 else [(run.stdout + run.stderr).strip()]


def texts(files):
    """All files' text with comments away."""
    return "\n".join(re.sub(r"^\s*#.*$", "", f.read_text(encoding="utf-8"), flags=re.M) for f in files)


def check_rule_files(report):
    """Syntax, names, intervals, and that a unit test asks for every rule."""
    for path in RULES:
        report.claim(f"rules/{path.name} is valid", promtool("check", "rules", path))
    for path in RULE_TESTS:
        cases = path.read_text(encoding="utf-8").count("  - name:")
        report.claim(f"rules/tests/{path.name}: {cases} cases hold", promtool("test", "rules", path))
    rules, tests = texts(RULES), texts(RULE_TESTS)
    records = re.findall(r"- record: (\S+)", rules)
    report.claim(f"{len(records)} records are named level:metric:operations, each once",
                 [r for r in records if records.count(r) > 1 or not re.fullmatch(r"[a-z]+:[a-z0-9_]+:[a-z0-9_]+", r)]
                 or ([] if records else ["no records"]))
    asked = " ".join(re.findall(r"expr: (.+)", tests))
    report.claim("every record has a unit test",
                 [r for r in records if not re.search(rf"(?<![\w:]){re.escape(r)}(?![\w:])", asked)])
    manual = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    report.claim("docs/rules.md names every record",
                 [r for r in records if not all(p in manual for p in (r.rpartition(":")[0], ":" + r.rpartition(":")[2]))])
    alerts, fired = re.findall(r"- alert: (\S+)", rules), re.findall(r"alertname: (\S+)", tests)
    report.claim(f"every one of {len(alerts)} alerts has a unit test", sorted(set(alerts) - set(fired)))
    slow = [m for m in re.findall(r"^ +interval: (\S+)", rules, re.M) if not re.fullmatch(r"[1-4]m|\d+s", m)]
    report.claim(f"every group runs more often than the {LOOKBACK_MINUTES}-minute lookback", slow)
    check_labels(report, tests)


def check_labels(report, tests):
    """Unit tests may only feed series as the exporter has them."""
    known = {}
    for name, _, _ in series.SERIES:
        metric, labels = split_series(name)
        known.setdefault(metric, labels | {"instance", "job"})
    strange = []
    for name in re.findall(r"series: (.+)", tests):
        metric, labels = split_series(name)
        if metric != "up" and not labels <= known.get(metric, set()):
            strange.append(name)
    report.claim("unit tests feed only metrics and labels of the exporter", strange)


def split_series(text):
    """Metric name and the set of label names of `name{label="value",...}`."""
    metric, _, labels = text.strip("'").partition("{")
    return metric, set(re.findall(r'(\w+)="', labels))


def check_dashboards(report, folder):
    """Each file's form, and each query's data."""
    groups = re.findall(r"- name: (wattribute-(?:now|hour|day))", texts(sorted(RULES, key=rank)))
    everything = []
    for path in BOARDS:
        try:
            board = layout.load(path)
        except ValueError as e:
            report.claim(f"{path.name} parses", [e])
            continue
        for text, problems in layout.problems_of_board(board).items():
            report.claim(f"{path.name} {text}", problems)
        panels = [p for p in board["panels"] if p["type"] != "row"]
        for panel in panels:
            report.claim(f'{path.name} panel "{panel["title"]}" has unit, description, source and queries', layout.problems_of_panel(panel))
        asked = list(queries.queries_of(board))
        empty, refusal = queries.without_data(asked, RULES, groups, folder)
        report.claim(f"{path.name} {len(asked)} queries run with the rules over {queries.HOURS} hours", refusal)
        for where, expression in asked if not refusal else []:
            report.claim(f"{path.name} query {where} finds data", [f"{empty[where]}: {expression}"] if where in empty else [])
        everything += asked
    return everything


def rank(path):
    """Order of evaluation: short windows feed long ones."""
    order = ["now", "hour", "day"]
    return order.index(path.stem) if path.stem in order else len(order)


def check_live(report, asked, folder):
    """The example configuration in a real Prometheus."""
    report.claim("deploy/prometheus.yml is valid", promtool("check", "config", CONFIG))
    with live.Prometheus(ROOT, folder) as prometheus:
        up = prometheus.wait(live.settled)
        log = (folder / "prometheus.log").read_text(encoding="utf-8")[-2000:]
        report.claim("a real Prometheus with deploy/prometheus.yml records PUE and emissions", [] if up else [log])
        if up:
            report.claim(f"it evaluates all {len(live.rules_of(prometheus))} rules without error", live.sick_rules(prometheus))
            report.claim(f"it takes all {len(asked)} dashboard queries over a range", live.refused(prometheus, asked))


def main():
    """Runs everything; the exit code."""
    report = Report()
    for tool in ("promtool", "prometheus"):
        if shutil.which(tool) is None:
            report.claim(f"{tool} is installed", ["not found on PATH; `make test` installs it (Debian package prometheus)"])
    if report.failed == 0:
        check_rule_files(report)
        with tempfile.TemporaryDirectory(prefix="wattribute-rules-") as folder:
            asked = check_dashboards(report, pathlib.Path(folder))
            check_live(report, asked, pathlib.Path(folder))
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed or not report.passed else 0


if __name__ == "__main__":
    sys.exit(main())
