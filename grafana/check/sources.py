"""Where queries stand: the dashboards, their variables, the rules; and where metrics are documented."""

import json
import pathlib
import re
from dataclasses import dataclass

import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DASHBOARDS = REPOSITORY / "grafana" / "dashboards"
PROMETHEUS = REPOSITORY / "infra" / "prometheus"
RUNBOOKS = REPOSITORY / "docs" / "runbooks"
CATALOGUE = REPOSITORY / "docs" / "metrics.md"

METRIC = re.compile(r"\b((?:paceline|process)_[a-z0-9_]+)\b")


@dataclass(frozen=True)
class Found:
    """A query and the place where it stands, for people."""

    place: str
    query: object


def boards():
    return [json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))]


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets(kind):
    """The queries of all panels on data sources of a kind."""
    for board in boards():
        for panel in panels(board):
            for target in panel["targets"]:
                if target["datasource"]["type"] == kind:
                    yield Found(f"{board['title']} / {panel['title']}", target)


def variables():
    """Of dashboards: `label_values(metric, label)` as the series that it asks for."""
    for board in boards():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                series = re.fullmatch(r"label_values\((.+), \w+\)", variable["query"]["query"]).group(1)
                yield Found(f"{board['title']} / variable {variable['name']}", series)


def provisioned(what):
    return [yaml.safe_load(path.read_text()) for path in sorted((REPOSITORY / "grafana" / "provisioning" / what).glob("*.yaml"))]


def rules():
    for path in sorted((PROMETHEUS / "rules").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield path.name, rule


def rule_tests():
    for path in sorted((PROMETHEUS / "tests").glob("*.yaml")):
        for test in yaml.safe_load(path.read_text())["tests"]:
            yield path.name, test


def catalogue(path=CATALOGUE):
    """The documented metrics: each stands in the first column of a table."""
    names = set()
    for line in path.read_text().splitlines():
        if line.startswith("|"):
            names.update(METRIC.findall(line.split("|")[1]))
    return names
