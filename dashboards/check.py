#!/usr/bin/env python3
"""Checks dashboards against Grafana's own types, since nothing else notices a misspelt key.

    pip install 'grafana-foundation-sdk==1769699379!11.6.0'
    python3 dashboards/check.py dashboards/*.json

The package comes in one build per Grafana version, and a plain install picks the oldest. It knows
keys and types, not whether a word such as a legend's placement is one that Grafana has.
Exit code 0: well; 1: all findings are listed; 2: no file given; 3: the package is missing.
"""

import json
import sys
from itertools import combinations
from pathlib import Path

try:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models import units
    from grafana_foundation_sdk.models.dashboard import Dashboard
except ImportError as error:
    print(f"{error}\nInstall it: pip install 'grafana-foundation-sdk==1769699379!11.6.0'", file=sys.stderr)
    sys.exit(3)

# The variable, the provisioned one, and Grafana's own for annotations made by hand.
DATASOURCES = {
    ("prometheus", "${datasource}"),
    ("prometheus", "prometheus"),
    ("grafana", "-- Grafana --"),
}
# Read by Grafana's Prometheus plugin, but not in the package's type of an annotation.
ANNOTATION_KEYS = {"step", "titleFormat", "textFormat"}
GRID_WIDTH = 24
UNITS = {unit for name, unit in vars(units).items() if name[0].isupper()}


def lost(before, after, path=""):
    """Yields what of `before` is not in `after`: the keys and values that Grafana's types refuse."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            here = f"{path}.{key}".lstrip(".")
            if key in after:
                yield from lost(value, after[key], here)
            elif not (path.startswith("annotations.list[") and key in ANNOTATION_KEYS):
                yield f"{here}: unknown to Grafana"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (left, right) in enumerate(zip(before, after)):
            yield from lost(left, right, f"{path}[{index}]")
    elif before != after:
        yield f"{path}: {before!r} reads as {after!r}"


def schema(source):
    """Yields what gets lost on the way through Grafana's types."""
    try:
        copy = json.loads(json.dumps(Dashboard.from_json(source), cls=JSONEncoder))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        yield f"Grafana's types cannot read it: {error!r}"
    else:
        yield from lost(source, copy)


def datasources(node, path=""):
    """Yields every reference to a data source that is not provisioned."""
    if isinstance(node, dict):
        if "datasource" in node:
            ref = node["datasource"]
            if not isinstance(ref, dict) or (ref.get("type"), ref.get("uid")) not in DATASOURCES:
                yield f"{path}.datasource: {ref!r} is neither the variable nor provisioned".lstrip(".")
        for key, value in node.items():
            yield from datasources(value, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from datasources(value, f"{path}[{index}]")


def unit_of(panel):
    """Yields a finding for no unit and for each unknown one."""
    config = panel.get("fieldConfig", {})
    if "unit" not in config.get("defaults", {}):
        yield "no unit"
    found = [config.get("defaults", {}).get("unit")]
    for override in config.get("overrides", []):
        found += [p.get("value") for p in override["properties"] if p["id"] == "unit"]
    yield from (f"unknown unit {unit!r}" for unit in found if unit is not None and unit not in UNITS)


def content(panel):
    """Yields what a panel lacks for a reader."""
    if not panel.get("title"):
        yield "no title"
    if panel["type"] == "row":
        return
    if not panel.get("description"):
        yield "no description"
    yield from unit_of(panel)
    if "datasource" not in panel:
        yield "no datasource"
    if not panel.get("targets"):
        yield "no targets"
    for target in panel.get("targets", []):
        if "datasource" not in target:
            yield f"target {target.get('refId')}: no datasource"
        if not target.get("expr", "").strip():
            yield f"target {target.get('refId')}: no expr"
    refs = [target.get("refId") for target in panel.get("targets", [])]
    if len(refs) != len(set(refs)):
        yield f"refIds are not unique: {refs}"


def label(panel):
    """Names a panel in a finding."""
    return f"panel {panel.get('id')} {panel.get('title', '')!r}"


def layout(panels):
    """Yields panels that leave the grid or overlap; `panels` share one grid."""
    placed = [(panel, panel.get("gridPos", {})) for panel in panels]
    for panel, at in placed:
        if not {"x", "y", "w", "h"} <= at.keys():
            yield f"{label(panel)}: gridPos is not whole"
            return
        if at["x"] < 0 or at["w"] < 1 or at["h"] < 1 or at["x"] + at["w"] > GRID_WIDTH:
            yield f"{label(panel)}: leaves the grid"
    for (one, a), (two, b) in combinations(placed, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        if not (beside or apart):
            yield f"{label(one)} overlaps {label(two)}"


def check(source):
    """Yields all findings of one dashboard."""
    yield from schema(source)
    yield from datasources(source)
    top = source.get("panels", [])
    # The panels of a collapsed row are laid out when it is opened.
    grids = [top, *(panel["panels"] for panel in top if panel.get("panels"))]
    for grid in grids:
        yield from layout(grid)
    panels = [panel for grid in grids for panel in grid]
    for panel in panels:
        yield from (f"{label(panel)}: {finding}" for finding in content(panel))
    ids = [panel.get("id") for panel in panels]
    for twice in sorted({str(i) for i in ids if ids.count(i) > 1}):
        yield f"panel id {twice} is used {[str(i) for i in ids].count(twice)} times"


def main(paths):
    """Checks the files and prints the findings; returns the exit code."""
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    register_default_plugins()
    bad = False
    for path in paths:
        try:
            findings = list(check(json.loads(Path(path).read_text(encoding="utf-8"))))
        except (OSError, ValueError) as error:
            findings = [str(error)]
        for finding in findings:
            print(f"{path}: {finding}")
        bad = bad or bool(findings)
        if not findings:
            print(f"{path}: ok")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
