"""Checks rendered manifests: each object by its schema, then all of them by the rules of the house. Then breaks each rule, to see that it
is noticed.

    check.py --keda DIR-OF-KEDA'S-DEFINITIONS RENDERED.yaml...
"""

import argparse
import pathlib
import sys

import yaml

import breaking
import rules
import schemas


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--keda", type=pathlib.Path, required=True)
    arguments.add_argument("rendered", type=pathlib.Path, nargs="+")
    given = arguments.parse_args()
    keda = schemas.Definitions(given.keda)
    wrong, everything = [], {}
    for path in given.rendered:
        objects = [found for found in yaml.safe_load_all(path.read_text()) if found]
        everything[path.stem] = objects
        wrong += [f"{path.stem}: {line}" for line in [*schemas.check(objects, keda), *rules.check(objects)]]
    if not wrong:
        wrong = breaking.unnoticed(everything, keda)
    for line in wrong:
        print(f"k8s: {line}", file=sys.stderr)
    if not wrong:
        count = sum(len(objects) for objects in everything.values())
        print(f"k8s: {count} objects are as their schemas and {len(rules.RULES)} rules say, and each rule notices what breaks it", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
