"""How a script of the user's is started, and what is told where it cannot be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pushkit import TargetError
from pushkit_script.program import startable


@pytest.mark.parametrize(
    ("word", "words", "hint"),
    [
        ("no-such-tool", "no-such-tool was not found on the PATH", "write its path, such as ./no-such-tool"),
        ("./missing", "./missing was not found in ", "correct its path"),
        ("bin/", "bin/ is a directory in ", "correct its path"),
        ("/nowhere/x", "/nowhere/x was not found in ", "correct its path"),
        ("./text", "./text", "chmod +x ./text"),
        # The memory of a process is a file whose beginning nobody reads, not even root.
        ("/proc/self/mem", "/proc/self/mem cannot be read: Input/output error", ""),
    ],
)
def test_what_cannot_be_started_is_told_with_the_way_to_mend_it(
    tmp_path: Path, word: str, words: str, hint: str
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "text").write_text("no first line that names a program\n")
    with pytest.raises(TargetError, match=re.escape(words)) as caught:
        startable((word, "--all"), tmp_path, {"PATH": "/usr/bin:/bin"})
    assert hint in caught.value.hint


def test_a_script_that_may_not_be_run_is_run_by_what_its_first_line_names(tmp_path: Path) -> None:
    (tmp_path / "deploy").write_text("#!/usr/bin/env bash\ntrue\n")
    (tmp_path / "deploy").chmod(0o644)
    assert startable(("./deploy", "--all"), tmp_path, {}) == ("/usr/bin/env", "bash", "./deploy", "--all")
    (tmp_path / "deploy").chmod(0o755)
    assert startable(("./deploy", "--all"), tmp_path, {}) == ("./deploy", "--all")
