"""Writes the dashboards (grafana/dashboards/*.json) and what they answer (docs/dashboards.md) from this folder's source.

    generate.py            write them
    generate.py --check    exit code 1 if they differ from what is there
"""

import json
import pathlib
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

import dependencies
import mesh
import pages
import queues
import run
import traces
import workers

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "grafana" / "dashboards"
BOARDS = (mesh, run, queues, workers, traces, dependencies)


def files():
    """Path → what must stand in it."""
    boards = [as_json(module.build().build()) for module in BOARDS]
    made = {FOLDER / f"{board['uid']}.json": json.dumps(board, indent=1, ensure_ascii=False) + "\n" for board in boards}
    made[REPOSITORY / "docs" / "dashboards.md"] = pages.dashboards(boards)
    return made


def as_json(board):
    """Numbered panels, and read back by the typed builder: a field that Grafana's schema does not know would be lost."""
    for number, panel in enumerate(board.panels or [], start=1):
        panel.id_val = number
    plain = json.loads(json.dumps(board, cls=JSONEncoder))
    again = json.loads(json.dumps(Dashboard.from_json(json.loads(json.dumps(plain))), cls=JSONEncoder))
    if plain != again:
        raise SystemExit(f"{plain['uid']}: does not survive Grafana's schema")
    return plain


def main(arguments):
    made, wrong = files(), []
    for path in sorted(set(FOLDER.glob("*.json")) - set(made)):
        wrong.append(f"{path.relative_to(REPOSITORY)} has no source")
    for path, content in made.items():
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        elif not path.exists() or path.read_text() != content:
            wrong.append(f"{path.relative_to(REPOSITORY)} differs from its source; run: make dashboards")
    for line in wrong:
        print(f"dashboards: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
