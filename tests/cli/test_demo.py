"""``push demo`` does what it says it does, on any machine, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.project import hear_ctrl_c
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


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The directory that a demo kept, and the lines that it said."""
    directory = tmp_path_factory.mktemp("demo")
    done = run(directory / "tmp", "--keep", str(directory / "kept"))
    assert done.returncode == 0, done.stdout + done.stderr
    return directory / "kept", done.stdout.splitlines()


def test_the_demo_pushes_twice_rolls_back_and_looks_at_the_page_each_time(kept: tuple[Path, list[str]]) -> None:
    _, lines = kept
    said = [line.split(" says: ")[1] for line in lines if " says: " in line]
    assert said == ["Paper boats", "Paper boats and paper planes", "Paper boats"]
    commands = [line.strip() for line in lines if line.startswith("    $ ")]
    assert commands == ["$ push", "$ push", "$ push rollback"]
    pushed = [line.split(": ")[1].split(" in ")[0] for line in lines if "pushed 0" in line]
    assert [sent.split(", ")[0] for sent in pushed] == ["3 files", "1 file"]


def test_each_step_of_the_demo_says_what_happened_and_what_to_type(kept: tuple[Path, list[str]]) -> None:
    _, lines = kept
    steps = "\n".join(lines).split("\n# ")[1:]
    happened = ("A small site in a directory", "The first push sends", "One file is edited", "A rollback makes")
    assert all(step.startswith(words) for step, words in zip(steps, happened, strict=True))
    own = "    On your own project: "
    advice = [[line.removeprefix(own) for line in step.splitlines() if line.startswith(own)] for step in steps]
    assert [[words.partition("  (")[0] for words in step] for step in advice] == [
        ["push init"],
        ["push --dry-run"],
        ["push"],
        ["push rollback"],
    ]
    # What it says each of them is for.
    assert all(words.endswith(")") for step in advice for words in step)


def test_the_demo_ends_in_its_time_with_what_to_do_on_your_own_project(kept: tuple[Path, list[str]]) -> None:
    _, lines = kept
    (end,) = [at for at, line in enumerate(lines) if line.startswith("Every page was as it should be")]
    told = re.fullmatch(r".*, after (\d+\.\d) seconds\. On your own project:", lines[end])
    assert told
    # What the README promises. It takes a fifth of that.
    assert 0 < float(told[1]) < 10
    advice = [line.strip().partition("  ") for line in lines[end + 1 :] if line.startswith("    ")]
    assert [command for command, _, _ in advice] == ["push init", "push check", "push"]
    assert all(what for _, _, what in advice)


def test_what_the_demo_keeps_is_what_it_told_of(kept: tuple[Path, list[str]]) -> None:
    directory, _ = kept
    target = directory / "server/boats"
    first, second = sorted((target / "releases").iterdir())
    assert (target / "current").resolve() == first
    assert sorted(path.name for path in first.iterdir()) == ["folding.html", "index.html", "style.css"]
    assert demo.BEFORE in (first / "index.html").read_text()
    assert demo.AFTER in (second / "index.html").read_text()
    assert demo.AFTER in (directory / "project/index.html").read_text()


def test_the_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    assert run(tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_the_demo_stopped_by_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PUSH, "demo"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509  (no threads here)
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


def test_the_demo_keeps_nothing_where_no_directory_can_be(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    done = run(tmp_path / "tmp", "--keep", str(tmp_path / "kept/below"))
    assert done.returncode == 2
    assert f"{tmp_path}/kept/below: Not a directory" in done.stderr


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
