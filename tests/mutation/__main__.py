"""How much of a module the tests hold fast: `make mutants MODULE=pushkit/files/ticket.py`.

What no test can kill and ``survivors.txt`` does not explain is printed, each with its line before and after.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from mutation.campaign import Campaign
from mutation.mutant import mutants
from mutation.survivors import LIST, explained

TOP = Path(__file__).parents[2]


def main() -> int:
    """Mutate a module as the command line says. Its exit code: 1 when a mutant lives on."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("module", help="its path from the top of the tree")
    parser.add_argument("tests", nargs="*", default=["tests/unit"], help="what covers it; the fewer, the faster")
    parser.add_argument("--most", type=int, default=60, help="so many mutants are tried, chosen by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--line", type=int, action="append", default=[], help="only the mutants of such a line")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    every = [each for each in mutants((TOP / given.module).read_text()) if not given.line or each.line in given.line]
    chosen = random.Random(given.seed).sample(every, min(given.most, len(every)))
    known = explained(LIST.read_text()).get(given.module, {})
    tried = sorted((each for each in chosen if each.place not in known), key=lambda each: each.line)
    living = 0
    for mutant, life in Campaign(TOP, given.module, given.tests, given.workers).run(tried):
        if life:
            living += 1
            print(f"{given.module}:{mutant.line}: in {mutant.where}: {life}")
            print(f"  - {mutant.before}\n  + {mutant.after}", flush=True)
    print(
        f"{given.module}: {len(chosen)} of {len(every)} mutants, {len(tried) - living} killed, "
        f"{len(chosen) - len(tried)} explained, {living} left"
    )
    return 1 if living else 0


if __name__ == "__main__":
    sys.exit(main())
