"""``push demo`` does what it says it does, on any machine, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pushkit.demo import demo
from pushkit.demo.pages import Pages
from pushkit.errors import PushFailed

PUSH = [sys.executable, "-m", "pushkit"]


def environment(temporary: Path) -> dict[str, str]:
    """Whatever is left behind lies below ``temporary``, and a proxy would break every request."""
    temporary.mkdir(exist_ok=True)
    places = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(temporary))
    return os.environ | places | {"http_proxy": "http://127.0.0.1:9"}


def run(temporary: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PUSH, "demo", *arguments], env=environment(temporary), capture_output=True, text=True, check=False
    )


def test_the_demo_pushes_twice_rolls_back_and_looks_at_the_page_each_time(tmp_path: Path) -> None:
    done = run(tmp_path / "tmp", "--keep", str(tmp_path / "kept"))
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line.split(" says: ")[1] for line in done.stdout.splitlines() if " says: " in line]
    assert said == ["Paper boats", "Paper boats and paper planes", "Paper boats"]
    commands = [line.strip() for line in done.stdout.splitlines() if line.startswith("    $ ")]
    assert commands == ["$ push", "$ push", "$ push rollback"]
    pushed = [line.split(": ")[1].split(" in ")[0] for line in done.stdout.splitlines() if "pushed 0" in line]
    assert [sent.split(", ")[0] for sent in pushed] == ["3 files", "1 file"]


def test_what_the_demo_keeps_is_what_it_told_of(tmp_path: Path) -> None:
    assert run(tmp_path / "tmp", "--keep", str(tmp_path / "kept")).returncode == 0
    target = tmp_path / "kept/server/boats"
    first, second = sorted((target / "releases").iterdir())
    assert (target / "current").resolve() == first
    assert sorted(path.name for path in first.iterdir()) == ["folding.html", "index.html", "style.css"]
    assert demo.BEFORE in (first / "index.html").read_text()
    assert demo.AFTER in (second / "index.html").read_text()
    assert demo.AFTER in (tmp_path / "kept/project/index.html").read_text()


def test_the_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    assert run(tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_the_demo_stopped_by_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PUSH, "demo"], env=environment(tmp_path), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "$ push":
                break
        # A terminal sends it to the demo and to the push that it runs.
        os.killpg(process.pid, signal.SIGINT)
        process.stdout.read()
        assert process.wait() == 130
    assert list(tmp_path.iterdir()) == []


def test_the_demo_keeps_its_hands_off_a_directory_that_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/mine").touch()
    done = run(tmp_path / "tmp", "--keep", str(tmp_path / "kept"))
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["mine"]


def test_a_page_that_is_not_what_it_should_be_fails_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "BEFORE", "<h1>Something else</h1>")
    lines: list[str] = []
    with pytest.raises(PushFailed, match=r"index\.html answered 200 without '<h1>Something else</h1>'"):
        demo.Demo(tmp_path, lines.append).run()


def test_a_page_is_read_through_the_symlink_at_each_request(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "page").write_text(name)
    current = tmp_path / "current"
    with Pages(current) as pages:
        assert pages.fetch("page")[0] == 404
        current.symlink_to("one")
        assert pages.fetch("page") == (200, "one")
        current.unlink()
        current.symlink_to("two")
        assert pages.fetch("page") == (200, "two")
