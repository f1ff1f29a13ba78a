"""Imports between the files of a crate, and the circles that they make.

Imports are read as text (`use crate::`, `super::`, `self::`, and such paths in the code), so a path that a macro makes is not seen.
"""

import re

from rust_source import inline_modules, without_comments, without_tests


def expand(tree):
    """The paths of a `use` tree, each as a list of names; a glob is its module."""
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
            head = names_of(group[1])
            paths += [head + tail for tail in expand(group[2])]
        else:
            paths.append(names_of(re.sub(r"\s+as\s+\w+", "", part)))
    return paths


def names_of(path):
    return [name for name in path.split("::") if name not in ("", "*")]


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


def target_of(me, names, modules):
    """The file of the innermost module on the way that `names` go; None for another crate's."""
    target = absolute(me, names, modules)
    while target is not None and target not in modules and target:
        target = target[:-1]
    return None if target is None else modules.get(target)


def imports(folder, modules):
    """For each file the files that it imports."""
    graph = {path: set() for path in modules.values()}
    for module, path in modules.items():
        for inner, text in inline_modules(without_tests((folder / path).read_text())):
            targets = {target_of(module + inner, names, modules) for names in named_in(without_comments(text))}
            graph[path] |= targets - {None, path}
    return graph


def named_in(text):
    """Every path that the text names: those of its `use` lines, and those in its code; names of other crates are dropped later."""
    named = [names for match in re.finditer(r"\buse\s+([^;]+);", text) for names in expand(match[1])]
    named += [match.split("::") for match in re.findall(r"(?<![\w:])[a-z_]\w*(?:::\w+)+", text)]
    return list(filter(None, named))


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
            close(node)

    def close(node):
        at = stack.index(node)
        if len(stack) - at > 1:
            found.append(sorted(stack[at:]))
        del stack[at:]

    for node in graph:
        if node not in order:
            visit(node)
    return found
