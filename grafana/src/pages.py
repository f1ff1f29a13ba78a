"""docs/dashboards.md: what each panel answers, with its query. Written from the dashboards, so it can't drift."""

HEAD = """# What each panel answers

<!-- Written by `make dashboards` from grafana/src; changes by hand are lost. -->

`$job`, `$queue`, `$run` and `$trace` are chosen at the top of a dashboard, `$__rate_interval` is Grafana's own. Names that begin with
`paceline:` are recorded by `infra/prometheus/rules/recording.yaml`.
"""


def dashboards(boards):
    return "\n".join([HEAD, *(line for board in boards for line in page(board))]) + "\n"


def page(board):
    yield f"## {board['title'].removeprefix('Paceline / ')}"
    yield f"\n{board['description']} `/d/{board['uid']}`\n"
    yield "| panel | the question it answers | query |\n|---|---|---|"
    for panel in panels(board):
        queries = "<br>".join(f"`{cell(query)}`" for query in map(query_text, panel["targets"]))
        yield f"| {cell(panel['title'])} | {cell(panel['description'])} | {queries} |"
    yield ""


def panels(board):
    """Without the rows' headings."""
    return (panel for panel in board["panels"] if panel["type"] != "row")


def query_text(target):
    if "expr" in target:
        return target["expr"]
    parts = [target["query"]]
    parts += [f"{metric['type']} {metric.get('field', '')}".strip() for metric in target["metrics"]]
    parts += [f"by {bucket['field']}" for bucket in target["bucketAggs"]]
    return "documents: " + ", ".join(parts)


def cell(text):
    return text.replace("|", "\\|")
