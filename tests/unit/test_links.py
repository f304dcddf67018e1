"""Where symlinks lead: what a person is told is what the kernel would do."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushkit.links import MOST, leads_out
from pushkit.model import Project
from pushkit.snapshot import take

NAMES = st.sampled_from(["a", "b", "d", "e"])
TEXTS = st.lists(st.sampled_from(["a", "b", "d", "e", "..", ".", ""]), min_size=1, max_size=5).map("/".join)


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    directory = tmp_path / "project"
    (directory / "sub/deep").mkdir(parents=True)
    return directory


def warned(top: Path, source: str = ".") -> list[str]:
    """The paths that a snapshot warns about."""
    warnings = take(Project("p", top / "Pushfile", top, source, (), "", {})).warnings
    return [warning.partition(" is a link that leads out of the project: ")[0] for warning in warnings]


def test_a_link_through_a_link_is_followed_as_the_kernel_does(top: Path) -> None:
    links = {
        "here": "sub/deep/../..",  # the top itself
        "shallow": "sub",
        "out": "sub/deep/to-shallow/../../x",  # its text stays inside
        "in": "sub/deep/../x",
        "sub/deep/to-shallow": "../../shallow",
        "sub/far": "deep/../../../x",
        "sub/root": "/etc",
        "through": "sub/root/passwd",
        "circle": "circle/../../x",
    }
    for name, link in links.items():
        (top / name).symlink_to(link)
    assert warned(top) == ["out", "sub/far", "sub/root", "through"]


def test_the_links_of_a_commit_are_followed_too(top: Path) -> None:
    (top / "shallow").symlink_to("sub")
    (top / "out").symlink_to("shallow/../../x")
    (top / "in").symlink_to("shallow/../x")
    (top / "sub/deep/file").touch()
    git = shutil.which("git")
    assert git
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "t"]):
        subprocess.run([git, *words], cwd=top, check=True)
    assert warned(top, "git:HEAD") == ["out"]


def test_a_chain_of_links_is_followed_as_far_as_the_kernel_follows_one(tmp_path: Path) -> None:
    def chain(length: int) -> dict[str, str]:
        return {str(number): str(number + 1) for number in range(length - 1)} | {str(length - 1): "../x"}

    for name, text in chain(MOST + 1).items():
        (tmp_path / name).symlink_to(text)
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        os.stat(tmp_path / "0")
    with pytest.raises(FileNotFoundError):
        os.stat(tmp_path / "1")
    assert not leads_out("0", chain(MOST + 1))
    assert leads_out("1", chain(MOST + 1))


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), TEXTS, min_size=1, max_size=4))
def test_a_link_leads_out_where_its_real_path_does(links: dict[str, str]) -> None:
    with TemporaryDirectory() as scratch:
        top = os.path.join(os.path.realpath(scratch), "top")
        os.mkdir(top)
        made: dict[str, str] = {}
        for path, text in links.items():
            parents = path.split("/")[:-1]
            if any("/".join(parents[: depth + 1]) in made for depth in range(len(parents))) or text.startswith("/"):
                continue
            os.makedirs(os.path.join(top, *parents), exist_ok=True)
            if not os.path.lexists(os.path.join(top, path)) and text:
                os.symlink(text, os.path.join(top, path))
                made[path] = text
        # So that few links lead to what is missing, above the top too.
        for parent in (scratch, top):
            for name in ("a", "b", "d", "e"):
                if not os.path.lexists(os.path.join(parent, name)):
                    os.mkdir(os.path.join(parent, name))
        for path in made:
            full = os.path.join(top, path)
            try:
                os.stat(full)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    assert not leads_out(path, made)
                # Python resolves what is missing as the kernel would not: on the way through a circle.
                continue
            inside = os.path.commonpath([top, os.path.realpath(full)]) == top
            assert leads_out(path, made) is not inside, made
