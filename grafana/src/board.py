"""The frame of every dashboard: its address, its variables, and the way to the others."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from panels import METRICS

# The data sources of grafana/provisioning. Another Grafana may choose its own by the variables.
PROMETHEUS_UID, ELASTICSEARCH_UID = "paceline-prometheus", "paceline-elasticsearch"
TEMPO_UID, JAEGER_UID = "paceline-tempo", "paceline-jaeger"
DOCUMENTS = DataSourceRef(type_val="elasticsearch", uid="${documents}")
TAG = "paceline"


def board(uid, title, about, *variables):
    """An empty dashboard. `uid` is its address, /d/<uid>, and never changes."""
    made = dashboard.Dashboard(title).uid(uid).description(about).tags([TAG]).timezone("browser").readonly()
    made = made.time("now-30m", "now").refresh("10s").tooltip(DashboardCursorSync.CROSSHAIR)
    made = made.with_variable(source("datasource", "Metrics", "prometheus", PROMETHEUS_UID))
    others = dashboard.DashboardLink("Paceline").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    made = made.link(others.as_dropdown(True).include_vars(True).keep_time(True))
    for variable in (mesh(), *variables):
        made = made.with_variable(variable)
    return made


def row(title):
    return dashboard.Row(title)


def source(name, label, kind, uid):
    current = VariableOption(text=uid, value=uid)
    return dashboard.DatasourceVariable(name).label(label).type(kind).current(current)


def trace_stores():
    """Traces are in one of them, or in both."""
    return source("traces", "Traces (Tempo)", "tempo", TEMPO_UID), source("jaeger", "Traces (Jaeger)", "jaeger", JAEGER_UID)


def mesh():
    """One Prometheus may scrape several meshes, each under a job name of its own."""
    return labels("job", "Mesh", "paceline_build_info", "job", multi=True)


def labels(name, label, metric, of, multi=False, sort=VariableSort.ALPHABETICAL_ASC):
    """A variable of the values that a label has."""
    query = {"query": f"label_values({metric}, {of})", "refId": "A", "qryType": 1}
    made = dashboard.QueryVariable(name).label(label).datasource(METRICS).query(query)
    made = made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(sort).multi(multi).include_all(multi)
    if multi:
        made = made.all_value(".+").current(VariableOption(text="All", value="$__all"))
    return made


def queues():
    return labels("queue", "Queue", "paceline_jobs_total", "queue", multi=True)


def runs():
    """Ids sort by time, so the newest comes first."""
    name = 'paceline_run_enqueued_jobs_total{job=~"$job"}'
    return labels("run", "Run", name, "run", sort=VariableSort.ALPHABETICAL_DESC)


def text(name, label, about, value):
    option = VariableOption(text=value, value=value)
    return dashboard.TextBoxVariable(name).label(label).description(about).default_value(value).current(option)
