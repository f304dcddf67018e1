"""Ignore rules: git's own semantics, and what a Pushfile adds to them. The only matcher.

The rules, the last match wins: ``.gitignore`` of every directory, from the top of the git work tree down; then
``.pushignore``, from the project's source down; then ``ignore`` of the project; then ``ignore`` of the target.
Over all of them stand the names that never travel, and over those ``include`` of the target. What git keeps for
one person or one clone (``core.excludesFile``, ``.git/info/exclude``) is not read: a snapshot is the same for
everybody.

Source: gitignore(5) and ``dir.c`` of git. Paths are matched as bytes, as git does. A path that is given as text
is relative to the project's source.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

from pushkit.wildmatch import SPECIAL, translate

GITIGNORE = ".gitignore"
PUSHIGNORE = ".pushignore"
PROTECTED = (".git", ".hg", ".svn", ".vagrant", ".push", PUSHIGNORE, "push.secrets.toml", "push-report-*.html")

#: ``x**/y`` matches ``xy`` in git: the literal beginning is compared first, and the rest as if it began there.
FUSED = re.compile(rb"[^/]\*\*").search


class State(IntEnum):
    """How a path stands in a snapshot."""

    DROPPED = 0  # it stays, with all that is below it
    THROUGH = 1  # a directory that stays, but something below it is included
    KEPT = 2  # it travels; what is below it is decided one by one
    INCLUDED = 3  # it travels because a target includes it, and so does all below it


class Rule:
    """One pattern. ``base`` is the directory that it counts from, empty or with a slash at its end.

    ``origin`` names the file or the setting it stands in; ``line`` is 1 for the first line, 0 when there are none.
    """

    __slots__ = ("_regex", "anchored", "base", "directories", "line", "negative", "origin", "pattern", "text")

    def __init__(self, text: bytes, base: bytes, origin: str, line: int) -> None:
        self.text = text
        self.origin = origin
        self.line = line
        self.negative = text.startswith(b"!")
        pattern = text[self.negative :]
        self.directories = pattern.endswith(b"/")
        if self.directories:
            pattern = pattern[:-1]
        self.anchored = b"/" in pattern
        self.pattern = pattern.removeprefix(b"/")
        self.base = len(base)
        self._regex: re.Pattern[bytes] | None = None

    def __str__(self) -> str:
        place = f"{self.origin}:{self.line}" if self.line else self.origin
        return f"{place}: {os.fsdecode(self.text)}"

    def matches(self, path: bytes, is_directory: bool) -> bool:
        """Whether this rule speaks of ``path``, which lies below its base."""
        if self.directories and not is_directory:
            return False
        subject = path[self.base :] if self.anchored else path.rpartition(b"/")[2]
        if self._regex is None:
            self._regex = re.compile(self.regex(), re.DOTALL)
        return self._regex.fullmatch(subject) is not None

    def regex(self) -> bytes:
        """The whole pattern as a regular expression."""
        special = SPECIAL(self.pattern)
        start = special.start() if special else len(self.pattern)
        return re.escape(self.pattern[:start]) + translate(self.pattern[start:])

    def tail(self) -> bytes:
        """A pattern for the last component of whatever this rule matches."""
        if not self.anchored:
            return self.pattern
        if re.search(rb"[\[\\]", self.pattern) or FUSED(self.pattern):
            return b"*"
        return self.pattern.rpartition(b"/")[2]

    def leads(self, directory: str) -> bool:
        """Whether this rule may match below ``directory``, which takes an anchored rule with a literal beginning."""
        components = os.fsdecode(self.pattern).split("/")
        parts = directory.split("/")
        if not self.anchored or self.negative or SPECIAL(os.fsencode(components[0])):
            return False
        if len(parts) >= len(components) and "**" not in components:
            return False
        for component, part in zip(components, parts, strict=False):
            if SPECIAL(os.fsencode(component)):
                return True
            if component != part:
                return False
        return True


def parse(content: bytes, base: bytes, origin: str) -> list[Rule]:
    """The rules of an ignore file, in its order."""
    rules = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line or line.startswith(b"#"):
            continue
        # git reads a C string, which ends at a NUL.
        text = without_trailing_spaces(line.removesuffix(b"\r").partition(b"\0")[0])
        if text:
            rules.append(Rule(text, base, origin, number))
    return rules


def without_trailing_spaces(text: bytes) -> bytes:
    """``text`` without the spaces at its end. A backslash that is not escaped itself keeps the first of them."""
    trimmed = text.rstrip(b" ")
    backslashes = len(trimmed) - len(trimmed.rstrip(b"\\"))
    return text[: len(trimmed) + backslashes % 2]


def patterns(lines: Iterable[str], base: bytes, origin: str) -> list[Rule]:
    """The rules of a list of patterns. ``line`` counts in the list."""
    return parse(os.fsencode("\n".join(lines)), base, origin)


class Filter:
    """Finds, among the names of one directory, the few that a rule may speak of.

    What a rule says needs its whole path and a regular expression; that most names are nobody's business is
    seen at the price of a set and a substring search for a whole directory.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        literals: set[str] = set()
        suffixes: set[str] = set()
        globs: set[bytes] = set()
        for tail in {rule.tail() for rule in rules}:
            if not SPECIAL(tail):
                literals.add(os.fsdecode(tail))
            elif tail.startswith(b"*") and not SPECIAL(tail, 1) and tail.isascii():
                suffixes.add(tail[1:].decode())
            else:
                globs.add(translate(tail))
        self._literals = literals
        self._suffixes = tuple(suffixes)
        self._ends = tuple(suffix + "\0" for suffix in suffixes)
        self._globs = re.compile(rb"\0(?:" + b"|".join(globs) + rb")(?=\0)", re.DOTALL).search if globs else None

    def candidates(self, names: Sequence[str]) -> list[str]:
        """Those of ``names`` that have to be looked at."""
        joined = "\0".join(names) + "\0"
        globs = self._globs
        if (
            self._literals.isdisjoint(names)
            and not any(end in joined for end in self._ends)
            and not (globs and globs(os.fsencode("\0" + joined)))
        ):
            return []
        return [
            name
            for name in names
            if name in self._literals or name.endswith(self._suffixes) or (globs and globs(os.fsencode(f"\0{name}\0")))
        ]


class Verdict(NamedTuple):
    """How a path stands, and the rule that decided; none when no rule speaks of it."""

    state: State
    rule: Rule | None


class Rules:
    """The rules that hold in one directory.

    ``prefix`` is the way from the top of the git work tree to the project's source, empty or with a slash at
    its end. Each list has its last rule last.
    """

    def __init__(
        self,
        prefix: bytes,
        *,
        include: Sequence[Rule],
        protected: Sequence[Rule],
        own: Sequence[Rule],
        gitignore: Sequence[Rule] = (),
        pushignore: Sequence[Rule] = (),
    ) -> None:
        self._prefix = prefix
        self._include = include
        self._protected = protected
        self._own = own
        self._gitignore = gitignore
        self._pushignore = pushignore
        self._order = (*gitignore, *pushignore, *own, *protected)[::-1]

    def below(self, directory: str, gitignore: bytes, pushignore: bytes) -> Rules:
        """The rules in ``directory`` (empty: the source), which has these ignore files; empty where it has none."""
        place = directory + "/" if directory else ""
        base = self._prefix + os.fsencode(place)
        return Rules(
            self._prefix,
            include=self._include,
            protected=self._protected,
            own=self._own,
            gitignore=(*self._gitignore, *parse(gitignore, base, place + GITIGNORE)),
            pushignore=(*self._pushignore, *parse(pushignore, base, place + PUSHIGNORE)),
        )

    @cached_property
    def _filter(self) -> Filter:
        return Filter((*self._order, *self._include))

    def candidates(self, names: Sequence[str], state: State) -> Sequence[str]:
        """Those of a directory's names that `decide` must be asked about; the others are as their directory is.

        ``state`` is the directory's own.
        """
        return self._filter.candidates(names) if state is State.KEPT else names

    def decide(self, path: str, is_directory: bool, state: State) -> Verdict:
        """How ``path`` stands in a directory that stands as ``state``."""
        full = self._prefix + os.fsencode(path)
        rule = last(self._include[::-1], full, is_directory)
        if rule and not rule.negative:
            return Verdict(State.INCLUDED, rule)
        if state is State.KEPT:
            rule = last(self._order, full, is_directory)
        elif state is State.INCLUDED:
            rule = rule or last(self._protected[::-1], full, is_directory)
        else:
            return Verdict(self._dropped(path, is_directory), None)
        if rule is None or (rule.negative and state is State.KEPT):
            return Verdict(state, rule)
        return Verdict(self._dropped(path, is_directory), rule)

    def _dropped(self, path: str, is_directory: bool) -> State:
        if is_directory and any(rule.leads(path) for rule in self._include):
            return State.THROUGH
        return State.DROPPED


def last(order: Iterable[Rule], path: bytes, is_directory: bool) -> Rule | None:
    """The first rule of ``order``, which has the last one first, that speaks of ``path``."""
    for rule in order:
        if rule.matches(path, is_directory):
            return rule
    return None
