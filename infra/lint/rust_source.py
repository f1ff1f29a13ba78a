"""The Rust files of the repository by crate and module, and the text of each without its tests.

A file is a test only if the `mod` line that declares it says so, or the one of a module above it, or if its target is a test; its own name
says nothing.
"""

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

# `#[cfg(test)]`, also with more conditions, and the conformance suites, which only builds of tests have.
TEST_ONLY = re.compile(r'#\[cfg\((?:all\()?\s*(?:test\b|feature = "testkit")')
ATTRIBUTES = r"(?P<attributes>(?:^[ \t]*#\[[^\n]*\]\n)*)"
VISIBILITY = r"(?:pub(?:\([\w: ]+\))? )?"
MODULE = re.compile(rf"{ATTRIBUTES}^[ \t]*{VISIBILITY}mod (?P<name>\w+)(?P<end>;| \{{)", re.M)
PATH = re.compile(r'#\[path = "([^"]+)"\]')


@dataclass
class Crate:
    """A target of Cargo: the folder of its root, and its modules, each a tuple of names, with the file of each."""

    root: str
    is_test: bool
    modules: dict = field(default_factory=dict)
    tests: set = field(default_factory=set)

    def production(self):
        return {module: path for module, path in self.modules.items() if path not in self.tests}


def listed(root, *patterns):
    """What git has of these patterns; it ends the program where git has no answer."""
    try:
        said = subprocess.run(["git", "-C", root, "ls-files", "--", *patterns], capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit("shape: git is missing, so it is not known which files belong to the repository; install git")
    if said.returncode != 0:
        sys.exit(f"shape: git does not answer for this folder: {said.stderr.strip().splitlines()[0]}; "
                 f"if another user owns it: git config --global --add safe.directory '{Path(root).resolve()}'")
    return said.stdout.split()


def without_comments(text):
    return re.sub(r"//[^\n]*", "", text)


def closing(text, opened):
    """The end of the block that opens at `opened`: rustfmt puts its brace below the first letter of the line that opens it."""
    if text.startswith("}", opened):
        return opened + 1
    line = text.rfind("\n", 0, opened) + 1
    indent = re.match(r"[ \t]*", text[line:]).group()
    closed = re.compile(rf"^{indent}\}}", re.M).search(text, opened)
    return closed.end() if closed else len(text)


def taken_apart(text, is_taken):
    """The text without those inline modules that are taken, and (name, body) of each of them. What stands behind one stays."""
    kept, at, taken = "", 0, []
    for module in MODULE.finditer(text):
        if module.start() >= at and module["end"] == " {" and is_taken(module):
            kept += text[at : module.start()]
            at = closing(text, module.end())
            taken.append((module["name"], text[module.end() : at - 1]))
    return kept + text[at:], taken


def without_tests(text):
    return taken_apart(text, lambda module: TEST_ONLY.search(module["attributes"]))[0]


def inline_modules(text):
    """(names, body) of the text itself, with no names, and of each inline module in it."""
    rest, inner = taken_apart(text, lambda _: True)
    yield (), rest
    for name, body in inner:
        yield from (((name, *names), text) for names, text in inline_modules(body))


def declared(text):
    """(name, #[path] or None, is it a test) of each module that is a file of its own."""
    for module in MODULE.finditer(text):
        if module["end"] == ";":
            path = PATH.search(module["attributes"])
            yield module["name"], path and path[1], bool(TEST_ONLY.search(module["attributes"]))


def walk(folder, crate, module, path, is_test, files):
    """Puts a file and all that it declares into the crate."""
    crate.modules[module] = path
    if is_test:
        crate.tests.add(path)
    here = Path(path).parent
    below = here if not module or Path(path).name == "mod.rs" else here / Path(path).stem
    for name, named, is_below_test in declared((folder / path).read_text()):
        choices = [here / named] if named else [below / f"{name}.rs", below / name / "mod.rs"]
        found = next((choice.as_posix() for choice in choices if choice.as_posix() in files), None)
        if found and found not in crate.modules.values():
            walk(folder, crate, (*module, name), found, is_test or is_below_test, files)


def roots(folder, files):
    """(path, is it a test) of the root of each target: those of Cargo's habit, and those that a manifest names."""
    for manifest in listed(folder, "Cargo.toml", "*/Cargo.toml"):
        at, said = Path(manifest).parent, (folder / manifest).read_text()
        inside = "" if at == Path(".") else f"{at.as_posix()}/"
        production = re.compile(rf"{re.escape(inside)}(src/(lib|main|bin/\w+|bin/\w+/main)|build)\.rs")
        automatic = "benches|examples" if "\nautotests = false\n" in said else "tests|benches|examples"
        test = re.compile(rf"{re.escape(inside)}({automatic})/(\w+|\w+/main)\.rs")
        found = {path: bool(test.fullmatch(path)) for path in files if production.fullmatch(path) or test.fullmatch(path)}
        for kind, body in re.findall(r"^\[+(lib|bin|test|bench|example)\]+\n((?:[^\[\n][^\n]*\n?)*)", said, re.M):
            if path := re.search(r'^path = "([^"]+)"', body, re.M):
                found[inside + path[1]] = kind not in ("lib", "bin")
        yield from sorted(found.items())


def crates(folder, files):
    """Every target of Cargo with the files that it has."""
    for root, is_test in roots(folder, files):
        crate = Crate(root, is_test)
        walk(folder, crate, (), root, is_test, files)
        yield crate
