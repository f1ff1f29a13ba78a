"""Runs every query of every panel and rule against real stores that watch a real mesh, until each has answered something, or the
time is over. Fails on a query that is refused, one that answers nothing, a metric that nobody documents, and one that nobody uses.

    live.py --prometheus URL --elasticsearch URL [--jaeger URL]

An alert answers nothing while all is well, so not the alert is asked but what it compares: every comparison as 0 or 1 (`> bool`),
what `and`, `or` and `unless` join one by one, `absent(x)` as x; and what `and` and `unless` join must meet by its labels. The rules
must be healthy by Prometheus' own word. With Jaeger, the way of a reader is gone too: from a dot of each panel that has dots to its
trace, and from there to the document of its job. Without it, places that only traces fill may be silent.
"""

import argparse
import re
import sys
import time

import allowed
import lint
import promql
import sources
import stores

SECONDS_MAX = 240
PAUSE_SECONDS = 2


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prometheus", required=True)
    parser.add_argument("--elasticsearch", required=True)
    parser.add_argument("--jaeger")
    parser.add_argument("--index", default="paceline-jobs-*")
    parser.add_argument("--seconds", type=int, default=SECONDS_MAX)
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    prometheus = stores.Prometheus(arguments.prometheus)
    elasticsearch = stores.Elasticsearch(arguments.elasticsearch, arguments.index)
    checks = [*of_panels(prometheus), *of_rules(prometheus), *of_documents(elasticsearch, prometheus)]
    if arguments.jaeger:
        checks += of_exemplars(prometheus, stores.Jaeger(arguments.jaeger), elasticsearch)
        silent, unserved = allowed.SILENT, allowed.UNSERVED
    else:
        silent, unserved = allowed.SILENT | allowed.SILENT_WITHOUT_TRACES, allowed.UNSERVED | allowed.UNSERVED_WITHOUT_TRACES
    wrong = until_all_answer(checks, arguments.seconds, arguments.verbose, silent)
    wrong += [*served(prometheus, unserved), *unhealthy(prometheus)]
    if not wrong:
        print(f"dashboards: {len(checks)} queries, each answered", file=sys.stderr)
    return lint.report(wrong)


def until_all_answer(checks, seconds, verbose, may_be_silent):
    """`checks`: (place, words, ask), where `ask` is empty while there is no answer yet. Each is asked again until then."""
    open_checks, deadline = checks, time.monotonic() + seconds
    while True:
        still = []
        for place, words, ask in open_checks:
            try:
                answer = ask()
            except stores.Refused as refusal:
                return [f"{place}: {words}: refused: {refusal}"]
            if not answer:
                still.append((place, words, ask))
            elif verbose:
                print(f"{place}\t{words}\t{len(answer)}")
        open_checks = still
        silent = [check for check in still if check[0] not in may_be_silent]
        if not silent:
            break
        if time.monotonic() > deadline:
            return [f"{place}: answers nothing: {words}" for place, words, _ in silent]
        time.sleep(PAUSE_SECONDS)
    needless = sorted(set(may_be_silent) - {place for place, _, _ in open_checks})
    return [f"allowed.py: {place} answers now, and needs no exception any more" for place in needless]


def filled(expr, run):
    """With the variables as Grafana fills them in for `All`, and the run that was chosen."""
    for name, value in (("$__rate_interval", "10s"), ("$job", ".+"), ("$queue", ".+"), ("$run", run), ("$trace", "*")):
        expr = expr.replace(name, value)
    if left := re.search(r"\$\w+", expr):
        raise SystemExit(f"{expr}: nobody fills in {left.group()}")
    return expr


def newest_run(prometheus):
    """The one that has dead jobs, so that every panel of a run has something to say."""
    found = prometheus.now("topk(1, max by (run) (paceline_run_dead_jobs))")
    return found[0]["metric"]["run"] if found else "none-yet"


def of_panels(prometheus):
    """A query that says `or vector(0)` must answer without it: a zero of its own making proves nothing. One that shows only what
    is wrong is asked as an alert is."""
    for found in [*sources.targets("prometheus"), *(sources.Found(one.place, {"expr": one.query}) for one in sources.variables())]:
        expr = found.query["expr"]
        strict = promql.always_answers(expr.removesuffix(" or vector(0)"))

        def ask(expr=strict):
            ready = filled(expr, newest_run(prometheus))
            return with_numbers(prometheus.now(ready)) and with_numbers(prometheus.lately(ready))

        yield found.place, expr, ask


def with_numbers(series):
    """NaN is what a quantile of nothing says."""
    def numbers(one):
        return [value for _, value in one.get("values", [one.get("value", (0, "NaN"))]) if value != "NaN"]

    return [one for one in series if numbers(one)]


# Of so many of the newest dots, one must lead all the way: a trace travels for a moment, and some belong to no job.
DOTS_TRIED = 20


def of_exemplars(prometheus, jaeger, elasticsearch):
    documents = next(found.query for found in sources.targets("elasticsearch") if "$trace" in found.query["query"])
    for found in sources.targets("prometheus"):
        if found.query.get("exemplar"):
            def ask(expr=found.query["expr"]):
                dots = prometheus.exemplars(filled(expr, ""))
                traces = [dot["trace_id"] for dot in dots if re.fullmatch("[0-9a-f]{32}", dot.get("trace_id", ""))]
                for trace in traces[::-1][:DOTS_TRIED]:
                    if spans := jaeger.spans(trace):
                        if elasticsearch.search({**documents, "query": documents["query"].replace("$trace", trace)}):
                            return spans
                return []

            yield f"{found.place}, its dots, their traces and documents", found.query["expr"], ask


def of_rules(prometheus):
    for file, rule in sources.rules():
        # A mesh that is minutes old has no five minutes ago.
        expr = re.sub(r"\boffset \w+", "", rule["expr"])
        for part in [*promql.parts_without_comparison(expr), *promql.joins(expr)]:
            place = f"{file} {rule.get('alert') or rule['record']}"
            yield place, part, lambda part=part: with_numbers(prometheus.now(part))


def of_documents(elasticsearch, prometheus):
    for found in sources.targets("elasticsearch"):
        def ask(target=found.query):
            return elasticsearch.search({**target, "query": filled(target["query"], newest_run(prometheus))})

        yield found.place, found.query["query"], ask


def served(prometheus, unserved):
    """What /metrics says against what docs/metrics.md says: names, both ways."""
    known = sources.catalogue()
    seen = {promql.family(name, known) for name in prometheus.names() if re.match(r"(paceline|process)_", name)}
    for name in sorted(seen - known):
        yield f"{name}: is served, and docs/metrics.md does not know it"
    for name in sorted(known - seen - set(unserved)):
        yield f"{name}: is in docs/metrics.md, and no role serves it"


def unhealthy(prometheus):
    for rule in prometheus.rules():
        if rule["health"] != "ok":
            yield f"{rule['name']}: {rule['health']}: {rule.get('lastError', '')}"


if __name__ == "__main__":
    sys.exit(main())
