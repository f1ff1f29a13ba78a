"""Just enough of PromQL to know which metrics an expression names, and to take the comparisons out of it."""

import re

# Words that are written in letters like a metric and are none.
WORDS = {
    "and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool", "inf", "nan",
}
STRING = re.compile(r'"(?:\\.|[^"\\])*"')
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
COMPARISON = re.compile(r"(==|!=|<=|>=|<|>)(?!\s*bool)")


def bare(expr):
    """Without strings, label matchers and ranges, which hold names of other kinds."""
    expr = STRING.sub('""', expr)
    expr = re.sub(r"\{[^}]*\}", "", expr)
    return re.sub(r"\[[^\]]*\]", "", expr)


def metrics(expr):
    """The names of the metrics in an expression."""
    text = bare(expr)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    text = re.sub(r"\$\w+|\b[0-9][0-9a-z.]*", " ", text)
    found = set()
    for match in NAME.finditer(text):
        is_function = re.match(r"\s*\(", text[match.end():])
        if match.group() not in WORDS and not is_function:
            found.add(match.group())
    return found


def family(name, known):
    """The metric that a series belongs to: a histogram's buckets, sum and count are one metric."""
    for end in ("_bucket", "_count", "_sum"):
        if name not in known and name.removesuffix(end) in known:
            return name.removesuffix(end)
    return name


def parts_without_comparison(expr):
    """An alert answers nothing while all is well. Its parts do, once each comparison says 0 or 1 (`bool`) instead of leaving
    out what does not match, `absent` is taken away, and what `and`, `or` and `unless` join stands alone."""
    return [always_answers(part) for part in split(expr, ("and", "or", "unless"))]


def always_answers(expr):
    kept = []

    def keep(match):
        kept.append(match.group())
        return f"\0{len(kept) - 1}\0"

    text = re.sub(r'\{[^}]*\}|"(?:\\.|[^"\\])*"', keep, expr)
    text = COMPARISON.sub(r"\1 bool", text)
    text = re.sub(r"\babsent\s*\(", "(", text)
    return re.sub("\0(\\d+)\0", lambda match: kept[int(match.group(1))], text).strip()


def joins(expr):
    """What `and` and `unless` join, as pairs that must meet: each right side with the first left side of its chain, by the same
    labels. Parts alone may answer though their labels never match."""
    for chain in terms(expr, ("or",)):
        (_, left), *rights = terms(chain[1], ("and", "unless"))
        for matching, right in rights:
            yield f"({always_answers(left)}) and {matching} ({always_answers(right)})"
        for _, term in [("", left), *rights]:
            if unwrapped(term) != term.strip():
                yield from joins(unwrapped(term))


def split(expr, words):
    """Splits at words that stand outside of all brackets; a matching rule after the word (`on (…)`) goes with it. A whole in
    brackets is opened first."""
    parts = terms(expr, words)
    if len(parts) == 1:
        return [expr]
    return [inner for _, part in parts for inner in split(unwrapped(part), words)]


def terms(expr, words):
    """(matching rule, what follows it), of which the first has no rule."""
    depth, start, parts, index, matching = 0, 0, [], 0, ""
    while index < len(expr):
        if expr[index] == '"':
            index = STRING.match(expr, index).end()
            continue
        depth += (expr[index] in "([{") - (expr[index] in ")]}")
        match = re.compile(r"\b(" + "|".join(words) + r")\b(\s*(on|ignoring)\s*\([^)]*\))?").match(expr, index)
        if depth == 0 and match and (index == 0 or not (expr[index - 1].isalnum() or expr[index - 1] in "_:$")):
            parts.append((matching, expr[start:index]))
            matching = (match.group(2) or "").strip()
            start = index = match.end()
            continue
        index += 1
    return [*parts, (matching, expr[start:])]


def unwrapped(expr):
    """`(x)` as `x`, if these two brackets belong together."""
    expr = expr.strip()
    depth = 0
    for index, letter in enumerate(expr):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and index < len(expr) - 1:
            return expr
    return expr[1:-1] if expr.startswith("(") and expr.endswith(")") else expr
