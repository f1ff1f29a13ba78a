"""The few kinds of panels that the dashboards are made of. Each says in one sentence which question it answers."""

from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

METRICS = DataSourceRef(type_val="prometheus", uid="${datasource}")

# Of 24 columns.
THIRD, HALF, WHOLE, SIXTH = 8, 12, 24, 4
GRAPH_HEIGHT, NUMBER_HEIGHT = 8, 4

GOOD, WARN, BAD = "green", "orange", "red"


@dataclass(frozen=True)
class Query:
    """One PromQL query. `exemplars` draws the traces that stand in the histogram's buckets as dots."""

    expr: str
    legend: str = "__auto"
    exemplars: bool = False


def graph(title, question, unit, *queries, span=THIRD, steps=None, stacked=False, least=0):
    """Lines over time."""
    panel = timeseries.Panel().title(title).description(question).unit(unit).span(span).height(GRAPH_HEIGHT)
    panel = panel.datasource(METRICS).show_points(VisibilityMode.NEVER).line_width(1).fill_opacity(10)
    panel = panel.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    panel = panel.legend(
        common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
    )
    if least is not None:
        panel = panel.axis_soft_min(least)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode("normal").group("A")).fill_opacity(40)
    if steps:
        panel = panel.thresholds(thresholds(steps)).thresholds_style(common.GraphThresholdsStyleConfig().mode("line"))
    return with_queries(panel, queries)


def number(title, question, unit, query, steps=None, span=SIXTH, no_value="unknown"):
    """One number as of now. Unknown is a word, never a zero."""
    panel = stat.Panel().title(title).description(question).unit(unit).span(span).height(NUMBER_HEIGHT)
    panel = panel.datasource(METRICS).graph_mode(BigValueGraphMode.NONE).no_value(no_value)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel = panel.color_mode(BigValueColorMode.VALUE if steps else BigValueColorMode.NONE)
    panel = panel.thresholds(thresholds(steps or [(None, "text")]))
    return panel.with_target(target(query, "A").instant())


def states(title, question, *queries, names, span=HALF):
    """Bands over time: well or not."""
    panel = statetimeline.Panel().title(title).description(question).span(span).height(GRAPH_HEIGHT)
    panel = panel.datasource(METRICS).show_value(VisibilityMode.NEVER).row_height(0.8)
    panel = panel.mappings([value_names(names)])
    return with_queries(panel, queries)


def rows(title, question, query, hidden=(), nothing="nothing", span=WHOLE):
    """A table as of now, a line for each combination of labels."""
    organize = {"excludeByName": {name: True for name in ("Time", "__name__", "job", *hidden)}}
    panel = table.Panel().title(title).description(question).span(span).height(GRAPH_HEIGHT).datasource(METRICS)
    panel = panel.with_transformation(DataTransformerConfig(id_val="organize", options=organize)).no_value(nothing)
    return panel.with_target(target(query, "A").instant().format(PromQueryFormat.TABLE))


def with_queries(panel, queries):
    for index, query in enumerate(queries):
        panel = panel.with_target(target(query, chr(ord("A") + index)))
    return panel


def target(query, ref):
    return (
        prometheus.Dataquery()
        .expr(query.expr)
        .legend_format(query.legend)
        .exemplar(query.exemplars)
        .ref_id(ref)
        .datasource(METRICS)
    )


def thresholds(steps):
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([Threshold(value, color) for value, color in steps])


def value_names(names):
    """`names`: value → (word, color)."""
    options = {
        value: ValueMappingResult(text=word, color=color, index=index) for index, (value, (word, color)) in enumerate(names.items())
    }
    return ValueMap(options=options)
