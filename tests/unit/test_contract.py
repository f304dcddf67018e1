"""The contract finds what is wrong: strategies that each break one promise, and the tests that then fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from distributions import importable, install
from pushkit.cli.plugins.new import project
from pushkit.testing import leftovers


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    with importable(tmp_path / "site") as directory:
        yield directory


#: What is changed in the strategy of `push plugins new`, and the tests that see it.
BROKEN = {
    "a plan that writes": (
        "wanted(snapshot)\n        steps",
        'wanted(snapshot)\n        (self._root / "x").write_text("")\n        steps',
        {"test_a_plan_writes_nothing", "test_what_is_live_is_what_was_pushed"},
    ),
    "a memory that forgets": (
        "(self._root / MEMORY).write_text(json.dumps(there))",
        "(self._root / MEMORY).write_text('{}')",
        {"test_a_second_plan_is_empty_and_one_after_a_change_is_not", "test_what_is_live_is_what_was_pushed"},
    ),
    "a step that is not told": (
        "with self.run.step(step):",
        "if True:",
        {
            "test_each_step_is_planned_with_a_reason_and_told_once",
            "test_who_asks_to_stop_is_heard_between_two_steps",
        },
    ),
    "a step that is told twice": (
        "with self.run.step(step):",
        "with self.run.step(step), self.run.step(step):",
        {"test_each_step_is_planned_with_a_reason_and_told_once"},
    ),
    "a secret that is printed": (
        "        now = datetime.now(UTC)\n",
        '        print(f"to {self.options.path}")\n        now = datetime.now(UTC)\n',
        {"test_nothing_is_printed_and_no_secret_is_told"},
    ),
    "a secret in a reason": (
        '"it is not what is there", entry.size)',
        '"it was s3cr3t-t0ken", entry.size)',
        {"test_nothing_is_printed_and_no_secret_is_told"},
    ),
    "a secret in a note": (
        "        now = datetime.now(UTC)\n",
        '        self.run.note("with s3cr3t-t0ken")\n        now = datetime.now(UTC)\n',
        {"test_nothing_is_printed_and_no_secret_is_told"},
    ),
    "a removal that is not told": (
        "with self.run.step(step):",
        "with self.run.step(step) if step.action is not Action.REMOVE else suppress():",
        {"test_each_step_is_planned_with_a_reason_and_told_once"},
    ),
    "a file that is read past the snapshot": (
        "with snapshot.open(entry) as content, open",
        'with open(self.run.project.root / entry.path, "rb") as content, open',
        {"test_a_file_that_changes_meanwhile_does_not_go_live"},
    ),
    "an error that is printed": (
        'raise TargetError(f"{self._root}',
        'print("oops"); raise TargetError(f"{self._root}',
        {"test_a_target_that_cannot_be_used_is_a_target_error_and_nothing_changed"},
    ),
    "a plan of another target": (
        "return Plan(self.run.target.name,",
        'return Plan("mine",',
        {"test_a_plan_and_a_release_say_what_they_are"},
    ),
    "an option of an option that nobody explains": (
        "    path: Annotated[str, Meta(",
        (
            "    more: Annotated[dict[str, tuple[Inner, ...]], Meta(description='More.')] = {}\n"
            "    path: Annotated[str, Meta("
        ),
        {"test_every_option_is_explained"},
    ),
    "an error of another kind": (
        'raise TargetError(f"{self._root}: there is no such directory", hint="make it, or correct `path`")',
        'raise RuntimeError("oops")',
        {"test_a_target_that_cannot_be_used_is_a_target_error_and_nothing_changed"},
    ),
    "a file that stays open": (
        "    def connect(self) -> None:\n",
        "    def connect(self) -> None:\n        self._file = [open('/dev/null')]; KEPT.append(self._file)\n",
        {
            "test_close_gives_back_everything_whatever_was_done_before",
            "test_a_target_that_cannot_be_used_is_a_target_error_and_nothing_changed",
        },
    ),
    "an option that nobody explains": (
        ', description="The directory that files are copied to; it has to be there."',
        "",
        {"test_every_option_is_explained"},
    ),
    "an option that takes anything": (
        "    path: Annotated[str, Meta(",
        "    other: Annotated[object, Meta(description='Anything.')] = None\n    path: Annotated[str, Meta(",
        {"test_a_mistake_in_the_options_is_found_when_the_pushfile_is_loaded"},
    ),
}


def failed(site: Path, name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the tests of the contract that fail for this strategy."""
    files = project(name)
    hook = files[f"pushkit_{name}/__init__.py"].replace(f"pushkit_{name}.strategy", f"{name}_strategy")
    begin = "KEPT = []\nfrom msgspec import Struct\nclass Inner(Struct):\n    size: int = 0\n"
    modules = {f"pushkit_{name}": hook, f"{name}_strategy": begin + source}
    install(site, f"pushkit-{name}", modules, {f"strategies:{name}": f"pushkit_{name}"})
    tests = files["tests/test_contract.py"].replace(f"pushkit_{name}.strategy", f"{name}_strategy")
    (site / f"test_{name}.py").write_text(tests)

    class Heard:
        def __init__(self) -> None:
            self.failed: set[str] = set()

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                self.failed.add(report.nodeid.rpartition("::")[2])

    heard = Heard()
    monkeypatch.setattr(leftovers, "PATIENCE", 0.2)
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-c", str(site / "none.ini"), f"--basetemp={site}/tmp"]
    (site / "none.ini").write_text("[pytest]\n")
    pytest.main([*options, str(site / f"test_{name}.py")], plugins=[heard])
    return heard.failed


@pytest.mark.parametrize("what", BROKEN)
def test_who_breaks_a_promise_is_told_which(
    site: Path, what: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    old, new, tests = BROKEN[what]
    secret = "    token: Annotated[Secret, Meta(description='A token.')] = Secret('s3cr3t-t0ken')\n"
    name = "broken" + str(list(BROKEN).index(what))
    source = project(name)[f"pushkit_{name}/strategy.py"]
    assert source.count(old) == 1
    source = source.replace(old, new).replace("Release, Snapshot", "Release, Secret, Snapshot")
    source = source.replace("    path: Annotated[str", f"{secret}    path: Annotated[str")
    assert failed(site, name, source, monkeypatch) >= tests
