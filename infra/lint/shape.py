#!/usr/bin/env python3
"""The shape of the Rust code: length of functions and files, and circles of files that import each other.

Called by infra/local/lint. Production code only: what is below `tests/`, in a file of tests or in a `#[cfg(test)]` module is left out.
Imports are read as text (`use crate::`, `super::`, `self::`, and such paths in the code), so a path that a macro makes is not seen.
Exit 1: there is a circle, or a figure is beyond its limit.
"""

import re
import subprocess
import sys
from pathlib import Path

MEDIAN_MAX = 8
PERCENTILE_99_MAX = 35
FILE_LINES_MAX = 300

TEST_FILE = re.compile(r"(^|/)(tests?|fake_\w+|stubs|\w+_tests)\.rs$|(^|/)(tests|testkit|benches)/")
TEST_MODULE = re.compile(r"#\[cfg\(test\)\]\s*(?:pub )?mod \w+ \{")
FUNCTION = re.compile(r"^(?P<indent>\s*)(?:pub(?:\([\w: ]+\))? )?(?:const )?(?:async )?fn (?P<name>\w+)", re.M)


def sources(root):
    """Paths of production files, relative to `root`."""
    listed = subprocess.check_output(["git", "-C", root, "ls-files", "*.rs"], text=True).split()
    return [path for path in listed if not TEST_FILE.search(path)]


def production(root, path):
    """The text of a file up to its module of tests."""
    return TEST_MODULE.split((root / path).read_text())[0]


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


def functions(root, paths):
    """(lines, path, name) of each function with a body."""
    found = []
    for path in paths:
        text = production(root, path)
        for match in FUNCTION.finditer(text):
            lines = body_lines(text, match.start("name"))
            if lines is not None:
                found.append((lines, path, match.group("name")))
    return sorted(found)


def expand(tree):
    """The paths of a `use` tree, each as a list of names."""
    paths, depth, part, parts = [], 0, "", []
    for char in tree.strip() + ",":
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += char
    for part in filter(None, parts):
        group = re.match(r"^([\w:]*?)(?:::)?\{(.*)\}$", part, re.S)
        if group:
            head = [name for name in group[1].split("::") if name]
            paths += [head + tail for tail in expand(group[2])]
        else:
            paths.append([name for name in re.sub(r"\s+as\s+\w+", "", part).split("::") if name])
    return paths


def module_of(base, path):
    names = path[len(base) + 1 : -3].split("/")
    return tuple(names[:-1] if names[-1] in ("mod", "lib", "main") else names)


def absolute(me, names, modules):
    """The path from the crate's root that `names` mean in the module `me`; None for another crate's."""
    if names[0] == "crate":
        return tuple(names[1:])
    if names[0] == "self":
        return me + tuple(names[1:])
    if names[0] == "super":
        up = next((at for at, name in enumerate(names) if name != "super"), len(names))
        return me[: len(me) - up] + tuple(names[up:])
    return me + tuple(names) if me + (names[0],) in modules else None


def imports(root, base, paths):
    """For each file of the crate below `base` the files that it imports."""
    modules = {module_of(base, path): path for path in paths}
    graph = {path: set() for path in paths}
    for me, path in modules.items():
        text = re.sub(r"//[^\n]*", "", production(root, path))
        named = [names for match in re.finditer(r"\buse\s+([^;]+);", text) for names in expand(match[1])]
        named += [match.split("::") for match in re.findall(r"\b(?:crate|super)(?:::\w+)+", text)]
        for names in filter(None, named):
            target = absolute(me, names, modules)
            while target is not None and target not in modules and target:
                target = target[:-1]
            if target is not None and modules.get(target, path) != path:
                graph[path].add(modules[target])
    return graph


def circles(graph):
    """Sets of files that reach each other (Tarjan's strongly connected components with more than one member)."""
    order, low, stack, found = {}, {}, [], []

    def visit(node):
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in graph[node]:
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in graph:
        if node not in order:
            visit(node)
    return found


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    paths = sources(root)
    lengths = functions(root, paths)
    files = sorted((production(root, path).count("\n"), path) for path in paths)
    bases = {path[: path.index("/src/") + 4] for path in paths if "/src/" in path}
    rings = []
    for base in sorted(bases):
        rings += circles(imports(root, base, [path for path in paths if path.startswith(base + "/")]))
    of = lambda part: lengths[min(len(lengths) - 1, int(len(lengths) * part))][0]
    usual = sum(80 <= lines <= 250 for lines, _ in files)
    print(f"functions: {len(lengths)}, median {of(0.5)} lines, p90 {of(0.9)}, p99 {of(0.99)}, longest {lengths[-1][0]} ({lengths[-1][1]} {lengths[-1][2]})")
    print(f"files: {len(files)}, median {files[len(files) // 2][0]} lines, {usual} of them 80 to 250, longest {files[-1][0]} ({files[-1][1]})")
    print(f"circles of imports: {len(rings)}")
    wrong = [f"these files import each other: {' '.join(ring)}" for ring in rings]
    wrong += [f"{path} has {lines} lines; split it by idea (limit {FILE_LINES_MAX})" for lines, path in files if lines > FILE_LINES_MAX]
    if of(0.5) > MEDIAN_MAX or of(0.99) > PERCENTILE_99_MAX:
        wrong += [f"{path} {name} has {lines} lines" for lines, path, name in lengths if lines > PERCENTILE_99_MAX]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
