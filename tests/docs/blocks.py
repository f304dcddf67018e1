"""The fenced blocks of the documentation, and the commands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parents[2]
PAGES = sorted([TOP / "README.md", *(TOP / "docs").rglob("*.md")])
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: the page it stands on, its place among those of its language there, and what it says."""

    page: str
    language: str
    number: int
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The commands of a console, each with what it says."""
        lines = re.sub(r"\\\n", "", self.text)
        return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", lines, re.MULTILINE)


def blocks(*languages: str) -> list[Block]:
    """The blocks of all pages, those of these languages where some are named."""
    return [each for page in PAGES for each in of(page) if not languages or each.language in languages]


def of(page: Path, section: str = "") -> Iterator[Block]:
    """The blocks of one page, or of one section of it, which they are then counted within."""
    text, count = page.read_text(), dict[str, int]()
    if section:
        text = text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    for found in FENCE.finditer(text):
        language = found["language"]
        count[language] = count.get(language, 0) + 1
        line = text.count("\n", 0, found.start()) + 1
        yield Block(str(page.relative_to(TOP)), language, count[language], line, found["text"])


def add_dependencies(file: Path) -> None:
    """Let a new plugin's ``pyproject.toml`` have what docs/writing-a-strategy.md adds to it."""
    (added,) = (each.text for each in of(TOP / "docs/writing-a-strategy.md") if each.language == "toml")
    text = file.read_text()
    for name, line in re.findall(r"^(?=(\w+) = )(.*)$", added, re.MULTILINE):
        (old,) = re.findall(rf"^{name} = .*$", text, re.MULTILINE)
        text = text.replace(old, line)
    file.write_text(text)
