#!/usr/bin/env python3
"""The shape of the Rust code: length of functions and files, and circles of files that import each other.

Called by infra/local/lint. Lengths are those of production code: what is below `tests/`, in a file whose `mod` line says `#[cfg(test)]` or in
such a module is left out. Circles are looked for in every library and binary, also in those of tests/: simulation, gauntlet and sandbox.
Exit 1: there is a circle, a file belongs to nothing, a figure is beyond its limit, or git does not answer.
"""

import re
import sys
from pathlib import Path

from imports import circles, imports
from rust_source import crates, listed, without_tests

MEDIAN_MAX = 8
PERCENTILE_99_MAX = 35
FUNCTION_LINES_MAX = 50
FILE_LINES_MAX = 300

FUNCTION = re.compile(r"^(?P<indent>\s*)(?:pub(?:\([\w: ]+\))? )?(?:const )?(?:async )?fn (?P<name>\w+)", re.M)


def body_lines(text, start):
    """Lines between the braces of the function that begins at `start`; None for one without a body."""
    opened = re.compile(r"[{;]").search(text, start)
    # A `;` within an array type of the signature is no end of it.
    while opened and opened.group() == ";" and text.count("[", start, opened.start()) > text.count("]", start, opened.start()):
        opened = re.compile(r"[{;]").search(text, opened.end())
    if not opened or opened.group() == ";":
        return None
    indent = re.match(r"\s*", text[text.rfind("\n", 0, start) + 1 :]).group()
    closed = re.compile(rf"^{indent}\}}", re.M).search(text, opened.end())
    end = text.find("\n", opened.end())
    if closed is None or 0 <= text.find("}", opened.end(), end if end >= 0 else len(text)) and text[opened.end() : end].rstrip().endswith("}"):
        return 1
    return max(1, text.count("\n", opened.end(), closed.start()) - 1)


def functions(texts):
    """(lines, path, name) of each function with a body, the shortest first."""
    found = []
    for path, text in texts.items():
        for match in FUNCTION.finditer(text):
            lines = body_lines(text, match.start("name"))
            if lines is not None:
                found.append((lines, path, match["name"]))
    return sorted(found)


def share(lengths, part):
    """The length that this part of the functions does not exceed."""
    return lengths[min(len(lengths) - 1, int(len(lengths) * part))][0]


def functions_judged(lengths):
    over = [one for one in lengths if one[0] > PERCENTILE_99_MAX]
    lines, path, name = lengths[-1]
    print(f"functions: {len(lengths)}, median {share(lengths, 0.5)} lines, p90 {share(lengths, 0.9)}, p99 {share(lengths, 0.99)}, "
          f"{len(over)} over {PERCENTILE_99_MAX}, longest {lines} ({path} {name})")
    are_long = share(lengths, 0.5) > MEDIAN_MAX or share(lengths, 0.99) > PERCENTILE_99_MAX
    return [f"{path} {name} has {lines} lines; split it by idea (limit {FUNCTION_LINES_MAX}, and {PERCENTILE_99_MAX} for 99 of 100)"
            for lines, path, name in over if are_long or lines > FUNCTION_LINES_MAX]


def files_judged(files):
    usual = sum(80 <= lines <= 250 for lines, _ in files)
    print(f"files: {len(files)}, median {files[len(files) // 2][0]} lines, {usual} of them 80 to 250, longest {files[-1][0]} ({files[-1][1]})")
    return [f"{path} has {lines} lines; split it by idea (limit {FILE_LINES_MAX})" for lines, path in files if lines > FILE_LINES_MAX]


def circles_judged(folder, targets):
    graphs = [imports(folder, crate.production()) for crate in targets if not crate.is_test]
    rings = [ring for graph in graphs for ring in circles(graph)]
    print(f"circles of imports: {len(rings)} in {len(graphs)} libraries and binaries")
    return [f"these files import each other: {' '.join(ring)}" for ring in rings]


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    files = set(listed(folder, "*.rs"))
    targets = list(crates(folder, files))
    paths = sorted({path for crate in targets for path in crate.production().values() if not path.startswith("tests/")})
    texts = {path: without_tests((folder / path).read_text()) for path in paths}
    wrong = circles_judged(folder, targets) + functions_judged(functions(texts))
    wrong += files_judged(sorted((text.count("\n"), path) for path, text in texts.items()))
    reached = {path for crate in targets for path in crate.modules.values()}
    wrong += [f"{path} belongs to nothing: no `mod` line of a target leads to it" for path in sorted(files - reached)]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
