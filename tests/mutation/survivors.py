"""The mutants that no test can kill, each with the reason: what ``survivors.txt`` lists."""

from __future__ import annotations

from pathlib import Path

from mutation.mutant import Place

LIST = Path(__file__).with_name("survivors.txt")


def explained(text: str) -> dict[str, dict[Place, str]]:
    """Why mutants live on, by module and place. Each paragraph of the list has four lines.

    They are the module with the function or class, the line before and after, and why nobody can tell the difference.
    """
    found: dict[str, dict[Place, str]] = {}
    for paragraph in text.split("\n\n"):
        lines = [line.strip() for line in paragraph.splitlines() if not line.startswith("#")]
        if lines:
            where, before, after, why = lines
            module, _, name = where.partition(" ")
            found.setdefault(module, {})[name, before.removeprefix("- "), after.removeprefix("+ ")] = why
    return found
