"""The ignore rules do what git does, over generated trees and patterns, and what a Pushfile adds to them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkit.ignore import Filter, Rule, parse, without_trailing_spaces
from pushkit.model import Project, Target
from pushkit.snapshot import take
from pushkit.source import explain
from pushkit.wildmatch import CLASSES

EXAMPLES = int(os.environ.get("PUSHKIT_EXAMPLES", "120"))

NAMES = [
    "a",
    "b",
    "ab",
    "foo",
    "bar",
    "x.log",
    "y.pyc",
    "é",
    "a b",
    "c ",
    "!n",
    "#n",
    "[q]",
    "b\\c",
    "\udcff",
    "n\nl",
    "-",
    "A",
]
PIECES = [
    *("*", "**", "?", "[ab]", "[!a]", "[^b-f]", "[[:alpha:]]", "[a\\]b]", "[]-]", "[z-a]", "[", "[[:oops:]]", "\\"),
    *("a", "b", "foo", "bar", ".log", "*.pyc", "é", "\\!", "\\#", "\\ ", " ", "-", "c", "/", "/", "/", "**/", "/**"),
]

names = st.sampled_from(NAMES)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
glob = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)
literal = paths.map(lambda path: path.replace("\n", "?").replace("\\", "\\\\").replace("[", "\\["))
pattern = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", "", "", "!", "!", "#"]),
    st.sampled_from(["", "", "/", "**/"]),
    st.one_of(glob, literal, names),
    st.sampled_from(["", "", "", "/", "/*", "/**"]),
    st.sampled_from(["", "", "", " ", "  ", "\\ ", "\t", "\r"]),
)
ignore_file = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "", "\ufeff"]),
    st.lists(pattern, max_size=6).map("\n".join),
    st.sampled_from(["\n", ""]),
)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def git(top: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    command = ["git", "-C", str(top), "-c", "core.excludesFile=/dev/null", "-c", "core.quotePath=off", *arguments]
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, check=False)
    assert done.returncode in (0, 1), command  # check-ignore says 1 for "none of them"
    return done.stdout


@contextmanager
def repository(files: dict[str, str | bytes]) -> Iterator[Path]:
    """A git repository with ``files``; what cannot be there beside the others is left out."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        git(top, "init", "-q", "--template=")
        write(top, files)
        yield top


def write(top: Path, files: dict[str, str | bytes]) -> None:
    for path, content in files.items():
        file = top / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)
        except OSError:  # a file where this one needs a directory, or the other way round
            continue


def project(top: Path, source: str = ".", ignore: tuple[str, ...] = ()) -> Project:
    return Project("p", top / "Pushfile", top, source, ignore, "", {})


def sent(top: Path, target: Target | None = None, **options: object) -> list[str]:
    """The files that a push would send."""
    snapshot = take(project(top, **options), target)  # type: ignore[arg-type]
    return [entry.path for entry in snapshot.entries if entry.kind != "directory"]


def listed(top: Path) -> list[str]:
    """The files that git does not ignore."""
    return os.fsdecode(git(top, "ls-files", "-co", "--exclude-standard", "-z")).split("\0")[:-1]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sets(paths, min_size=4, max_size=25),
    st.dictionaries(st.one_of(st.just(""), paths.map(lambda path: path + "/")), ignore_file, min_size=1, max_size=3),
)
def test_sends_what_git_lists_for_any_tree_and_patterns(tree: set[str], ignores: dict[str, str]) -> None:
    files: dict[str, str | bytes] = {path + ".gitignore": text for path, text in ignores.items()}
    with repository({**dict.fromkeys(sorted(tree), ""), **files}) as top:
        assert sorted(sent(top)) == sorted(listed(top))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(pattern, min_size=1, max_size=8), st.sets(paths, min_size=10, max_size=30))
def test_names_the_rule_that_git_names(patterns: list[str], tree: set[str]) -> None:
    text = "\n".join(patterns) + "\n"
    with repository({**dict.fromkeys(sorted(tree), ""), ".gitignore": text}) as top:
        rules = parse(text.encode("utf-8", "surrogateescape"), b"", ".gitignore")
        found = sorted(str(path.relative_to(top)) for path in top.rglob("*") if ".git" not in path.parts)
        asked = os.fsencode("\0".join(found))
        answer = os.fsdecode(git(top, "check-ignore", "--no-index", "-v", "-n", "-z", "--stdin", stdin=asked))
        fields = answer.split("\0")[:-1]
        lines = {path: line for _, line, _, path in zip(*(iter(fields),) * 4, strict=True)}
        for path in found:
            # git asks about the directories above first; here each path is asked about alone.
            if any(lines[str(parent)] for parent in Path(path).parents if str(parent) != "."):
                continue
            full = os.fsencode(path)
            ours = [
                rule for rule in rules if rule.matches(full, (top / path).is_dir() and not (top / path).is_symlink())
            ]
            assert (str(ours[-1].line) if ours else "") == lines[path], (path, patterns)


@settings(max_examples=4 * EXAMPLES, deadline=None)
@given(st.lists(pattern, max_size=6), st.sets(names, min_size=1), paths, st.booleans())
def test_the_filter_never_passes_over_a_name_that_a_rule_matches(
    patterns: list[str], children: set[str], directory: str, is_directory: bool
) -> None:
    rules = parse("\n".join(patterns).encode("utf-8", "surrogateescape"), b"", "")
    candidates = Filter(rules).candidates(sorted(children))
    for place in ("", directory + "/"):
        for name in children:
            if any(rule.matches(os.fsencode(place + name), is_directory) for rule in rules):
                assert name in candidates


#: After a range, and after a class, a hyphen stands for itself.
BRACKETS = [b"[a-c-e]", b"[!a-c-e]", b"[[:digit:]-z]", b"[]-a]", b"[\\a-c]", b"[a-\\c]", b"[a-]", b"[a-c-]"]


def test_brackets_and_character_classes_hold_the_bytes_that_git_says() -> None:
    every = [bytes([value]) for value in range(1, 256) if value != ord("/")]
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        git(top, "init", "-q", "--template=")
        for bracket in [*BRACKETS, *(b"[[:%s:]]" % kind for kind in CLASSES)]:
            line = b"x" + bracket
            (top / ".gitignore").write_bytes(line + b"\n")
            asked = b"\0".join(b"x" + byte for byte in every)
            command = ["git", "-C", name, "check-ignore", "--no-index", "-z", "--stdin"]
            answer = subprocess.run(command, input=asked, stdout=subprocess.PIPE, check=False).stdout
            rule = Rule(line, b"", "", 1)
            assert [b"x" + byte for byte in every if rule.matches(b"x" + byte, False)] == answer.split(b"\0")[:-1], line


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 30 + "b", "a" * 80),
        ("**/a*/" * 12 + "b", "a/" * 60),
        ("**/*a*/" * 12 + "b", "aaaa/" * 60),
        ("/x/" + "**\\/a/" * 20 + "b", "x/" + "a/" * 60),
        ("**/" + "*a" * 20 + "b", "aaaaaaaaaaaaaaaaaaaaaaaaa/" * 40),
    ],
)
def test_no_pattern_takes_longer_than_a_person_would_wait(pattern: str, path: str) -> None:
    code = "import re, sys; from pushkit.ignore import Rule; print(Rule(*map(str.encode, sys.argv[1:2]), b'', '', 1)"
    code += ".matches(sys.argv[2].encode(), False))"
    # Where a pattern is tried in every way there is, this takes longer than anybody lives.
    done = subprocess.run([sys.executable, "-c", code, pattern, path], stdout=subprocess.PIPE, check=True, timeout=60)
    assert done.stdout == b"False\n"


def test_gitignore_files_above_the_source_hold_but_never_exclude_the_source_itself() -> None:
    with repository(
        {".gitignore": "*.log\n/site/\n/site/deep/b\n", "site/deep/a.log": "", "site/deep/b": "", "site/deep/c": ""}
    ) as top:
        assert sent(top, source="site/deep") == ["c"]


def test_a_later_source_of_rules_wins_over_an_earlier_one() -> None:
    files = {
        ".gitignore": "a\nb\n",
        ".pushignore": "!a\nc\n",
        "sub/.gitignore": "!b\na\n",
        **dict.fromkeys(("a", "b", "c", "d", "sub/a", "sub/b", "sub/c", "sub/d"), ""),
    }
    with repository({**files}) as top:
        assert sent(top) == [".gitignore", "a", "d", "sub/.gitignore", "sub/a", "sub/b", "sub/d"]
        assert "sub/c" in sent(top, ignore=("!/sub/c", "/d"))
        target = Target("t", "dir", ignore=("!/d", "/a"))
        assert sent(top, target, ignore=("/d",)) == [".gitignore", "d", "sub/.gitignore", "sub/a", "sub/b", "sub/d"]


def test_names_that_never_travel_stay_at_every_level_unless_included() -> None:
    files = dict.fromkeys(
        (".hg/x", "sub/.svn/x", ".vagrant/x", ".push/x", "Pushfile", "sub/Pushfile", ".pushignore"), ""
    )
    with repository({**files, "push.secrets.toml": "", "kept": "", ".gitignore": "!.git\n!.hg\n"}) as top:
        assert sent(top, ignore=("!.hg",)) == [".gitignore", "kept", "sub/Pushfile"]
        assert ".hg/x" in sent(top, Target("t", "dir", include=(".hg/",)))


def test_include_brings_a_directory_with_all_in_it_but_the_names_that_never_travel() -> None:
    files = {
        ".gitignore": "dist/\n*.map\n",
        "dist/a.map": "",
        "dist/sub/b": "",
        "dist/.git/c": "",
        "x.map": "",
        "z": "",
    }
    with repository({**files}) as top:
        assert sent(top) == [".gitignore", "z"]
        assert sent(top, Target("t", "dir", include=("dist/",))) == [".gitignore", "dist/a.map", "dist/sub/b", "z"]
        target = Target("t", "dir", include=("dist/", "!*.map"))
        assert sent(top, target) == [".gitignore", "dist/sub/b", "z"]


def test_include_reaches_into_an_excluded_directory_and_takes_nothing_else_there() -> None:
    files = dict.fromkeys(("out/a/b/c", "out/a/b/d", "out/a/e", "out/f", "out/empty/x", "z"), "")
    with repository({**files, ".gitignore": "out\n"}) as top:
        snapshot = take(project(top), Target("t", "dir", include=("out/a/b/c", "out/empty/y")))
        assert [entry.path for entry in snapshot.entries] == [".gitignore", "out", "out/a", "out/a/b", "out/a/b/c", "z"]
        assert sent(top, Target("t", "dir", include=("/out/*/e",))) == [".gitignore", "out/a/e", "z"]


def test_a_link_named_as_an_ignore_file_is_not_followed() -> None:
    with repository({"rules": "a\n", "a": ""}) as top:
        (top / ".gitignore").symlink_to("rules")
        assert sent(top) == [".gitignore", "a", "rules"]


def test_explains_which_line_of_which_file_decided() -> None:
    files = {
        ".gitignore": "# out\nout/\n*.log\n!keep.log\n",
        "out/x": "",
        "a.log": "",
        "keep.log": "",
        "b": "",
        "Pushfile": "",
    }
    with repository({**files, "sub/.pushignore": "b\n", "sub/b": "", "dist/c": ""}) as top:
        described = project(top, ignore=("dist",))
        target = Target("web", "dir", include=("/dist/c",))
        assert str(explain(described, None, "a.log")) == "a.log is not sent: .gitignore:3: *.log"
        assert str(explain(described, None, "keep.log")) == "keep.log is sent: .gitignore:4: !keep.log"
        assert str(explain(described, None, "b")) == "b is sent: no rule excludes it"
        assert (
            str(explain(described, None, "out/x"))
            == "out/x is not sent: its directory out is excluded by .gitignore:2: out/"
        )
        assert str(explain(described, None, "sub/b")) == "sub/b is not sent: sub/.pushignore:1: b"
        assert str(explain(described, None, "Pushfile")) == "Pushfile is not sent: names that never travel: /Pushfile"
        assert "ignore of [project] in Pushfile:1: dist" in str(explain(described, None, "dist/c"))
        assert (
            str(explain(described, target, "dist/c"))
            == "dist/c is sent: include of [target.web] in Pushfile:1: /dist/c"
        )


def test_a_line_of_a_million_spaces_is_read_at_once() -> None:
    spaces = b" " * 1_000_000
    assert [rule.text for rule in parse(spaces + b"x\n" + b"y" + spaces + b"\n" + spaces, b"", "")] == [
        spaces + b"x",
        b"y",
    ]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a  ", "a"),
        ("a\\  ", "a\\ "),
        ("a\\\\  ", "a\\\\"),
        ("a \\", "a \\"),
        ("a \\ b ", "a \\ b"),
        ("  ", ""),
        ("", ""),
    ],
)
def test_spaces_at_the_end_go_unless_they_are_escaped(text: str, kept: str) -> None:
    assert without_trailing_spaces(text.encode()) == kept.encode()


@pytest.mark.parametrize(
    ("pattern", "tail"),
    [
        ("*.log", "*.log"),
        ("a/*.log", "*.log"),
        ("/a", "a"),
        # Where a slash may be part of something else, the last component may be anything.
        ("a/b[/]c", "*"),
        ("a\\/b", "*"),
        ("a/x**/y", "*"),
        ("a/**/y", "y"),
    ],
)
def test_what_a_rule_may_match_is_told_by_a_pattern_of_its_last_component(pattern: str, tail: str) -> None:
    assert Rule(pattern.encode(), b"", "", 1).tail() == tail.encode()


@pytest.mark.parametrize(
    ("pattern", "directory", "leads"),
    [
        ("a/b/c", "a", True),
        ("a/b/c", "a/b", True),
        ("a/b/c", "a/b/c", False),
        ("a/b/c", "a/x", False),
        ("a/b/c", "x", False),
        ("a/*/c", "a/x", True),
        ("a/*/c", "a/x/c", False),
        ("a/**", "a/b/c", True),
        ("a/**", "x/b/c", False),
        ("/a", "a", False),
        # What begins with a glob would lead everywhere.
        ("*/b/c", "a", False),
        ("b", "a", False),
        ("!a/b", "a", False),
    ],
)
def test_an_included_path_leads_through_the_directories_above_it(pattern: str, directory: str, leads: bool) -> None:
    assert Rule(pattern.encode(), b"", "", 1).leads(directory) is leads


def test_a_line_ends_at_a_nul_and_keeps_every_other_letter() -> None:
    rules = parse(b"aX \0b\n\0\n# no\n\\#yes\r\n\n!cX", b"", ".gitignore")
    assert [(rule.line, rule.text) for rule in rules] == [(1, b"aX"), (4, b"\\#yes"), (6, b"!cX")]
    assert str(rules[0]) == ".gitignore:1: aX"


def test_only_the_names_that_a_rule_may_speak_of_are_looked_at() -> None:
    names = ["a.log", "alog", "dist", "distX", "x1", "x12", "log"]
    found = Filter(Rule(text, b"", "", 1) for text in (b"*.log", b"dist", b"/a/x?"))
    assert found.candidates(names) == ["a.log", "dist", "x1"]
    assert found.candidates(["alog", "x12"]) == []
