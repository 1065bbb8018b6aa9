"""Every query of a dashboard against promtool: does it parse, and does it find data in a small data centre?"""

import json
import re
import subprocess

from . import series

HOURS = 26
SUBSTITUTES = {"__rate_interval": "5m", "__range": "6h", "__interval": "1m", "datacenter": ".*"}


def queries_of(board):
    """(where, expression) of each panel's targets and of each variable, as Prometheus would get them."""
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield f'{panel["title"]} {target["refId"]}', substituted(target["expr"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), *(\w+)\)", variable["query"]["query"])
            yield f'variable {variable["name"]}', f'count by ({found[2]}) ({found[1]}{{{found[2]}!=""}})'


def substituted(expression):
    """The expression with Grafana's variables filled in; an unknown one stays and fails to parse."""
    for name, value in SUBSTITUTES.items():
        expression = re.sub(rf"\$(\{{{name}\}}|{name}\b)", value, expression)
    return expression


def without_data(queries, rule_files, groups, folder):
    """Those of `queries` that give nothing after 26 hours, and what promtool says if it fails for another reason."""
    tests = {f"count({q}) > bool 0": where for where, q in queries}
    case = {
        "rule_files": [str(f) for f in rule_files],
        "group_eval_order": groups,
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": series.as_promtool(HOURS * 60),
            "promql_expr_test": [
                {"expr": e, "eval_time": f"{HOURS}h", "exp_samples": [{"labels": "{}", "value": 1}]} for e in tests
            ],
        }],
    }
    path = folder / "queries.json"
    path.write_text(json.dumps(case), encoding="utf-8")
    run = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, timeout=300, check=False)
    if run.returncode == 0:
        return {}, []
    said = run.stdout + run.stderr
    failed = {
        where: "no data, or refused" for e, where in tests.items() if f"expr: {json.dumps(e, ensure_ascii=False)}" in said
    }
    return failed, [] if failed else [said.strip()]
