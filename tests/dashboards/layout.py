"""What a dashboard file must be, as far as the file alone can tell."""

import json
import re

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Grafana's own variables; a dollar and a digit is a capture of label_replace.
BUILT_IN = {"__rate_interval", "__range", "__interval"}


def variables_in(text):
    """Names of the variables that `text` uses, in either spelling."""
    return set(re.findall(r"\$\{?([A-Za-z_]\w*)", text))


def every(node, key):
    """All values of `key`, at any depth."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from every(value, key)
    elif isinstance(node, list):
        for item in node:
            yield from every(item, key)


def problems_of_board(board):
    """Claim -> what breaks it, for the dashboard as a whole."""
    panels = board["panels"]
    ids = [p["id"] for p in panels]
    names = {v["name"] for v in board["templating"]["list"]}
    used = set().union(*(variables_in(e) for e in every(board, "expr")))
    picker = next((v for v in board["templating"]["list"] if v["name"] == "datacenter"), {})
    return {
        "is provisionable: id null, a short uid, schema 39 to 41": [] if (
            board["id"] is None and re.fullmatch(r"[a-z0-9-]{1,40}", board["uid"]) and 39 <= board["schemaVersion"] <= 41
        ) else [f'{board["id"]!r} {board["uid"]!r} {board["schemaVersion"]!r}'],
        "has unique panel ids": sorted({i for i in ids if ids.count(i) > 1}),
        "names no data source but the variable": [d for d in every(board, "datasource") if d != DATASOURCE],
        "has the data source variable first": [] if board["templating"]["list"][0]["type"] == "datasource" else ["not first"],
        "has a data centre variable for one, several or all": [] if (
            picker.get("multi") and picker.get("includeAll") and picker.get("allValue") == ".*" and picker.get("refresh") == 2
        ) else [picker],
        "uses only variables that exist": sorted(used - names - BUILT_IN),
        "uses relative times": [t for t in board["time"].values() if not t.startswith("now")],
        "has no panels on top of each other": overlaps(panels),
    }


def overlaps(panels):
    """Pairs of panels that share a grid cell, and panels that leave the 24 columns."""
    taken, found = {}, []
    for panel in panels:
        g = panel["gridPos"]
        if g["x"] + g["w"] > 24:
            found.append(f'{panel["title"]} leaves the grid')
        for cell in ((x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])):
            if cell in taken:
                found.append(f'{panel["title"]} on {taken[cell]}')
                break
            taken[cell] = panel["title"]
    return found


def problems_of_panel(panel):
    """What a panel lacks."""
    found = []
    targets = panel.get("targets", [])
    if not re.search(r"Source: \S+", panel.get("description", "")):
        found.append("no description with its source")
    if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
        found.append("no unit")
    if panel.get("datasource") != DATASOURCE or any(t.get("datasource") != DATASOURCE for t in targets):
        found.append("no data source variable")
    refs = [t["refId"] for t in targets]
    if not targets or len(set(refs)) != len(refs):
        found.append("no queries, or two with one refId")
    if panel["type"] == "table":
        renamed = {n for r in every(panel, "renameByName") for n in r.values()}
        ghosts = {m["options"] for m in every(panel, "matcher")} - renamed
        found += [f"formats a column that is not there: {g}" for g in sorted(ghosts)]
    return found


def load(path):
    """The parsed file; a duplicate key is an error, as JSON's reader would silently take the last."""
    def pairs(items):
        keys = [k for k, _ in items]
        if len(set(keys)) != len(keys):
            raise ValueError(f"duplicate key among {keys}")
        return dict(items)
    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=pairs)
