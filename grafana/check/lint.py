"""Checks dashboards, rules, their tests and runbooks against each other and against docs/metrics.md, without running anything.

    lint.py [--catalogue FILE]
"""

import argparse
import pathlib
import re
import sys

import allowed
import promql
import sources

RECORDED = {rule["record"] for _, rule in sources.rules() if "record" in rule}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--catalogue", type=pathlib.Path, default=sources.CATALOGUE)
    path = arguments.parse_args().catalogue
    if not path.exists():
        return report([f"{path} is missing: it says which metrics there are"])
    return report([*metric_names(sources.catalogue(path)), *panels(), *data_sources(), *alerts()])


def report(wrong):
    for line in wrong:
        print(f"dashboards: {line}", file=sys.stderr)
    return 1 if wrong else 0


def uses():
    """Every place that names metrics, with the expression."""
    for found in sources.targets("prometheus"):
        yield found.place, found.query["expr"]
    for found in sources.variables():
        yield found.place, found.query
    for file, rule in sources.rules():
        yield f"{file} {rule.get('alert') or rule['record']}", rule["expr"]
        for text in rule.get("annotations", {}).values():
            for inner in re.findall(r"query \(?(?:printf )?\"(\w+)", text):
                yield f"{file} {rule['alert']}, annotation", inner


def metric_names(known):
    used = set()
    for place, expr in uses():
        for name in promql.metrics(expr):
            name = promql.family(name, known)
            used.add(name)
            if name not in known and name not in RECORDED and name not in allowed.FOREIGN:
                yield f"{place}: unknown metric {name}"
    for name in sorted(known - used - set(allowed.UNUSED)):
        yield f"{name}: no panel and no rule uses it; use it, or say why not in grafana/check/allowed.py"
    for name in sorted(set(allowed.UNUSED) & used | set(allowed.UNUSED) - known):
        yield f"allowed.py: {name} needs no exception any more"
    for name in sorted(RECORDED - used):
        yield f"recording.yaml: nothing uses {name}"


def panels():
    """Each says which question it answers; addresses and names are there once."""
    seen = set()
    for board in sources.boards():
        for key in (board["uid"], board["title"]):
            if key in seen:
                yield f"{key}: two dashboards have it"
            seen.add(key)
        titles = set()
        for panel in sources.panels(board):
            place = f"{board['title']} / {panel['title']}"
            if "?" not in panel.get("description", ""):
                yield f"{place}: its description asks no question"
            if panel["title"] in titles:
                yield f"{place}: two panels have this title"
            titles.add(panel["title"])
            for target in panel["targets"]:
                if re.search(r"\brate\(|\bincrease\(", target.get("expr", "")) and "$__rate_interval" not in target["expr"]:
                    yield f"{place}: rate without $__rate_interval"
                if "expr" in target and re.search(r"paceline_|process_|paceline:", target["expr"]):
                    if 'job=~"$job"' not in target["expr"]:
                        yield f"{place}: does not keep meshes apart by $job"


def data_sources():
    """What dashboards and data sources point at is provisioned."""
    places = [source for file in sources.provisioned("datasources") for source in file["datasources"]]
    known = {place["uid"] for place in places}
    for place in places:
        for uid in sorted(set(re.findall(r"'datasourceUid': '([^']*)'", str(place))) - known):
            yield f"provisioning: {place['name']} points at {uid}, which is not there"
    for board in sources.boards():
        for variable in board["templating"]["list"]:
            if variable["type"] == "datasource" and variable["current"]["value"] not in known:
                yield f"{board['title']}: {variable['name']} is {variable['current']['value']}, which is not provisioned"


def alerts():
    fired, quiet = set(), set()
    for _, test in sources.rule_tests():
        for case in test.get("alert_rule_test", []):
            (fired if case.get("exp_alerts") else quiet).add(case["alertname"])
    names, runbooks = set(), set()
    for file, rule in sources.rules():
        if "alert" not in rule:
            continue
        name, notes = rule["alert"], rule.get("annotations", {})
        names.add(name)
        for needed in ("summary", "description", "runbook_url"):
            if needed not in notes:
                yield f"{file} {name}: no annotation {needed}"
        if rule.get("labels", {}).get("severity") not in ("warning", "critical"):
            yield f"{file} {name}: severity is neither warning nor critical"
        page = sources.REPOSITORY / notes.get("runbook_url", "none")
        runbooks.add(page)
        if not page.exists():
            yield f"{file} {name}: there is no {notes.get('runbook_url')}"
    for name in sorted(names - fired):
        yield f"infra/prometheus/tests: no test in which {name} fires"
    for name in sorted(names - quiet):
        yield f"infra/prometheus/tests: no test in which {name} is quiet"
    index = (sources.RUNBOOKS / "README.md").read_text()
    for name in sorted(name for name in names if f"[{name}](" not in index):
        yield f"docs/runbooks/README.md: {name} is not listed"
    for page in sorted(set(sources.RUNBOOKS.glob("Paceline*.md")) - runbooks):
        yield f"{page.name}: no alert leads to it"


if __name__ == "__main__":
    sys.exit(main())
