"""The page of benchmarks, and how a run renews it."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import comparison
import pytest
from meter import Cost, Failed
from page import PAGE, Table, renewed, tables, with_targets
from report import Report

SMALL = """\
# Benchmarks

Words.

<!-- targets -->

## SSH

More words.

<!-- measured: SSH -->

- 2026-11-30: rsync 3.5
- 2026-11-23: rsync 3.2

| workload | transport | against | ratio | pairs | target | memory | measured |
| --- | --- | --- | --- | --- | --- | --- | --- |
| many, 0 ms | openssh | rsync -a | 1.10 (1.06 to 1.14) | 3 | 0.65: not met | 44 MB | 2026-11-23 |
| many, 0 ms | kept | rsync -a | 0.60 (0.50 to 0.70) | 3 | 0.65: met |  | 2026-11-23 |
| many, 0 ms | paramiko | rsync -a | 1.24 (1.20 to 1.30) | 3 | 0.85: not met |  | 2026-11-23 |
| one, 0 ms | openssh | rsync -a | 1.00 (0.90 to 1.10) | 3 |  |  | 2026-11-30 |

Words after it, of 2026-11-30:

| other | table |
| --- | --- |
| | |

<!-- measured: FTP -->

- 2026-11-30: lftp 4.9

| workload | against | figure | pairs | target | memory | measured |
| --- | --- | --- | --- | --- | --- | --- |
| few | lftp | 7 s | 1 | 8 s: met |  | 2026-11-30 |
"""
SSH, KEY = ("workload", "transport", "against"), ("many, 0 ms", "openssh", "rsync -a")


def measured(*rows: tuple[str, ...], day: str = "2026-12-01") -> Table:
    """What a run with another rsync found: the key, the ratio, the target."""
    table = Table(tables(SMALL)["SSH"].head, used={day: "rsync 4"})
    for *key, ratio, target in rows:
        table.add((*key, ratio, "1", target, "", day))
    return table


def chosen(page: Path | None) -> argparse.Namespace:
    return argparse.Namespace(write=page, directory=Path("/"))


def test_what_was_measured_takes_the_place_of_what_was_and_all_else_stays() -> None:
    page = renewed(SMALL, "SSH", measured((*KEY, "0.50", "0.65: met")))
    assert "| many, 0 ms | openssh | rsync -a | 0.50 | 1 | 0.65: met |  | 2026-12-01 |\n" in page
    by_hand = SMALL.replace("- 2026-11-30: rsync", "- 2026-12-01: rsync 4\n- 2026-11-30: rsync").replace(
        "1.10 (1.06 to 1.14) | 3 | 0.65: not met | 44 MB | 2026-11-23", "0.50 | 1 | 0.65: met |  | 2026-12-01"
    )
    assert page == with_targets(by_hand)
    again = measured((*KEY, "0.55", "0.65: met"))
    assert renewed(renewed(page, "SSH", again), "SSH", again) == renewed(page, "SSH", again)


def test_what_is_new_comes_after_what_was_measured_before_it() -> None:
    before, new, first = KEY, ("many, 0 ms", "other", "rsync -a"), ("none, 0 ms", "openssh", "rsync -a")
    page = renewed(SMALL, "SSH", measured((*before, "0.50", ""), (*new, "0.40", "")))
    assert list(tables(page)["SSH"].rows)[:3] == [before, new, ("many, 0 ms", "kept", "rsync -a")]
    assert list(tables(renewed(SMALL, "SSH", measured((*first, "0.40", ""))))["SSH"].rows)[-1] == first


def test_each_day_of_which_there_are_rows_has_its_versions() -> None:
    found = tables(renewed(SMALL, "SSH", measured((*KEY, "0.50", ""))))["SSH"]
    assert found.used == {"2026-12-01": "rsync 4", "2026-11-30": "rsync 3.5", "2026-11-23": "rsync 3.2"}
    assert list(found.used) == sorted(found.used, reverse=True)
    rows = [(*key, "0.50", "") for key in tables(SMALL)["SSH"].rows if key[0] == "many, 0 ms"]
    assert list(tables(renewed(SMALL, "SSH", measured(*rows)))["SSH"].used) == ["2026-12-01", "2026-11-30"]


def test_the_targets_are_those_of_all_tables() -> None:
    page = with_targets(SMALL)
    said = page.partition("<!-- targets -->\n\n")[2].partition("\n## SSH")[0].splitlines()
    assert said[2:] == [
        "| SSH | many, 0 ms | rsync -a | 0.65 | 1.10: not met | 0.60: met | 0.85 | 1.24: not met |",
        "| FTP | few | lftp | 8 s | 7 s: met |  |  |  |",
    ]


@pytest.mark.parametrize(
    ("page", "name", "why"),
    [
        (SMALL, "S3", "measured: S3"),
        (SMALL.replace("measured: SSH", "measured: ssh"), "SSH", "measured: SSH"),
        (re.sub(r"\|.*\n", "", SMALL), "SSH", "measured: SSH"),
        (SMALL.replace("<!-- targets -->", ""), "SSH", "targets"),
        (SMALL, "FTP", "the columns"),
    ],
)
def test_a_page_without_a_place_for_the_rows_is_an_error(page: str, name: str, why: str) -> None:
    with pytest.raises(LookupError, match=why):
        renewed(page, name, measured((*KEY, "0.50", "")))


def test_a_report_writes_what_it_was_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(SMALL)
    ours, theirs = [Cost(seconds, 0, 30) for seconds in (1, 2, 3)], [Cost(4, 0, 50)] * 3
    with Report("SSH", SSH, chosen(page)) as report:
        report.compare(KEY, ours, theirs, 0.65, 20)
        report.compare(("one, 0 ms", "openssh", "rsync -a"), ours, theirs[:1])
        report.failure(("many, 0 ms", "kept", "rsync -a"), "push", 0.65)
        report.failure(("many, 0 ms", "paramiko", "rsync -a"), "rsync", 0.85)
        report.absent("rclone")
    rows = [row[3:-1] for row in tables(page.read_text())["SSH"].rows.values()]
    assert rows == [
        ("0.50 (0.25 to 0.75)", "3", "0.65: met", "30 MB, 20: not met"),
        ("push failed", "", "0.65: not met", ""),
        ("rsync failed", "", "0.85: not measured", ""),
        ("0.25", "1", "", "30 MB"),
    ]
    assert re.search(r"^- \d{4}-\d\d-\d\d: pushkit \S+, Python 3\.\S+; \d+ processors", page.read_text(), re.MULTILINE)
    assert "rclone, which is not installed" in capsys.readouterr().out


def test_what_was_found_before_something_failed_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(SMALL)

    def measure() -> None:
        with Report("FTP", ("workload", "against"), chosen(page), (), "figure") as report:
            report.figure(("few", "lftp"), 9.04, "s", 8)
            raise Failed("the server is gone")

    with pytest.raises(Failed):
        measure()
    assert ("few", "lftp", "9.04 s", "1", "8 s: not met", "") in [
        row[:-1] for row in tables(page.read_text())["FTP"].rows.values()
    ]


def test_without_a_page_a_report_only_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Report("FTP", ("workload", "against"), chosen(None)) as report:
        report.compare(("few", "lftp"), [Cost(1, 0, 30)], [Cost(2, 0, 30)], 0.4)
    said = capsys.readouterr().out
    assert "few, lftp: 0.50 (1.00 s to 2.00 s), 1 pair; target 0.4: not met; 30 MB\n" in said


def test_the_targets_of_the_page_are_those_of_its_rows() -> None:
    page = PAGE.read_text()
    assert with_targets(page) == page
    for name, table in tables(page).items():
        assert table.rows, name
        for row in table.rows.values():
            assert len(row) == len(table.head), row
            assert re.fullmatch(r"\d{4}-\d\d-\d\d", row[-1]), row
            assert row[-1] in table.used, row
            # Whether a target is met is no opinion.
            if found := re.fullmatch(r"([\d.]+)[^:]*: (met|not met)", row[-3]):
                assert (float(row[-5].split()[0]) <= float(found[1])) == (found[2] == "met"), row


def test_a_run_of_all_has_every_benchmark_and_each_has_its_table() -> None:
    directory = Path(comparison.__file__).parent
    scripts = {each.stem: each.read_text() for each in directory.glob("*.py") if "__main__" in each.read_text()}
    del scripts["comparison"]
    assert sorted(comparison.ORDER) == sorted(scripts)
    named = [found for text in scripts.values() for found in re.findall(r"\bReport\(\s*\"([^\"]+)\"", text)]
    assert sorted(named) == sorted(tables(PAGE.read_text()))


def test_a_benchmark_renews_its_rows(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text())
    script = Path(comparison.__file__)
    command = [sys.executable, str(script), "--only", "startup", "--pairs", "1", "--write", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, after = (tables(each.read_text()) for each in (PAGE, page))
    assert before["SSH"] == after["SSH"]
    assert after["start-up"].rows.keys() == before["start-up"].rows.keys()
    assert all(row[3] == "8" for row in after["start-up"].rows.values())
