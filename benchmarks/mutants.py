"""Wrong rules, plans and programs, made from the right ones: which are noticed by the checks of `schematic verify`.

    python benchmarks/mutants.py [rule|plan|program] ...

Prints each survivor, and a count; exits 1 if any survives. Takes about a minute. A mutant that changes nothing of what
the checks look at (a flipped y where there is none) is not counted.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from mutants import plan_mutants, rule_mutants, text_mutants  # noqa: E402

KINDS = {"rule": rule_mutants, "plan": plan_mutants, "program": text_mutants}


def main(names: list[str]) -> int:
    if unknown := set(names) - set(KINDS):
        print(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}", file=sys.stderr)
        return 2
    survivors = 0
    for kind in names or KINDS:
        found: Counter[bool | None] = Counter()
        for mutant in KINDS[kind]():
            noticed = mutant.noticed()
            found[noticed] += 1
            if noticed is False:
                print(f"survives: {mutant.name}", flush=True)
        print(f"{kind:8} {found[True]} noticed, {found[False]} survive", flush=True)
        survivors += found[False]
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
