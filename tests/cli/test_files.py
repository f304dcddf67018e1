"""``push files``."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from cli.project import PUSH, Project


def test_paths_are_lines_and_the_count_is_on_stderr(project: Project) -> None:
    (project.root / ".pushignore").write_text("about.txt\n")
    (project.root / "empty").mkdir()
    (project.root / "link").symlink_to("index.html")
    done = project.push("files")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["css/site.css", "empty/", "index.html", "link"]
    assert done.stderr == "2 files, 31 B\n"


def test_the_rules_are_those_of_the_target(project: Project) -> None:
    project.write(a='strategy = "acme"\nignore = ["*.css"]', b='strategy = "acme"')
    assert "css/site.css" not in project.push("files", "a").stdout
    assert "css/site.css" in project.push("files", "b").stdout
    assert "css/site.css" in project.push("files").stdout


def test_a_name_that_breaks_a_line_is_quoted_and_nul_ends_it_raw(project: Project) -> None:
    odd = b"new\nline\xff"
    with open(os.fsencode(project.root) + b"/" + odd, "w"):
        pass
    assert '"new\\nline\\xff"' in project.push("files").stdout.splitlines()
    done = subprocess.run(
        [PUSH, "files", "-0"], cwd=project.root, env=project.environment, capture_output=True, check=True
    )
    assert odd in done.stdout.split(b"\0")


def test_du_sums_up_directories_the_largest_first(project: Project) -> None:
    (project.root / "css" / "deep").mkdir()
    (project.root / "css" / "deep" / "big.bin").write_bytes(b"x" * 5000)
    rows = [line.split() for line in project.push("files", "--du").stdout.splitlines()]
    assert [(row[-1], row[2]) for row in rows] == [("./", "4"), ("css/", "2"), ("css/deep/", "1")]
    assert rows[2][:2] == ["5.0", "kB"]


def test_json_has_a_line_an_entry(project: Project) -> None:
    *entries, total = [json.loads(line) for line in project.push("files", "--json").stdout.splitlines()]
    by_path = {entry["path"]: entry for entry in entries}
    assert by_path["css"]["kind"] == "directory"
    assert by_path["index.html"]["size"] == 13
    assert len(by_path["index.html"]["sha256"]) == 64
    assert (total["event"], total["files"]) == ("snapshot", 3)


def test_json_of_du_has_a_line_a_directory(project: Project) -> None:
    *directories, total = [json.loads(line) for line in project.push("files", "--du", "--json").stdout.splitlines()]
    assert directories == [
        {"version": 1, "event": "directory", "path": ".", "files": 3, "size": 37},
        {"version": 1, "event": "directory", "path": "css", "files": 1, "size": 18},
    ]
    assert (total["event"], total["files"], total["size"]) == ("snapshot", 3, 37)


def test_json_of_why_names_the_rule_that_decides(project: Project) -> None:
    (project.root / ".gitignore").write_text("# none\ncss/\n")
    common = {"version": 1, "event": "why"}
    rule = {"rule": "css/", "origin": ".gitignore", "line": 2}
    done = project.push("files", "--why", "css/site.css", "--json")
    assert json.loads(done.stdout) == common | {"path": "css/site.css", "sent": False, "decided": "css"} | rule
    done = project.push("files", "--why", "index.html", "--json")
    no_rule = {"rule": "", "origin": "", "line": 0}
    assert json.loads(done.stdout) == common | {"path": "index.html", "sent": True, "decided": "index.html"} | no_rule


@pytest.mark.parametrize("arguments", [["-0", "--du"], ["-0", "--json"], ["--du", "--why", "x"]], ids=" ".join)
def test_two_formats_at_a_time_are_refused(project: Project, arguments: list[str]) -> None:
    assert project.push("files", *arguments).returncode == 2


def test_an_unknown_target_is_exit_code_2(project: Project) -> None:
    assert project.push("files", "nowhere").returncode == 2


def test_no_target_is_contacted_nor_has_to_be_valid(project: Project) -> None:
    project.write(production='strategy = "not-installed"')
    assert project.push("files", "production").returncode == 0


def test_why_names_the_rule_that_decides(project: Project) -> None:
    (project.root / ".gitignore").write_text("*.css\n")
    done = project.push("files", "--why", "css/site.css")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith("css/site.css is not sent: ")
    assert ".gitignore:1" in line
    assert "*.css" in line
    assert project.push("files", "--why", "index.html").stdout.startswith("index.html is sent: ")


def test_why_takes_a_path_as_the_shell_sees_it(project: Project) -> None:
    inside = project.push("files", "--why", "site.css", directory="css")
    absolute = project.push("files", "--why", str(project.root / "css" / "site.css"))
    assert inside.stdout == absolute.stdout == "css/site.css is sent: no rule excludes it\n"


def test_why_of_a_path_that_is_not_there_is_exit_code_2(project: Project) -> None:
    done = project.push("files", "--why", "zzz")
    assert done.returncode == 2
    assert done.stderr == 'push: there is no "zzz" in this project\n  hint: `push files` lists what would be sent\n'
    done = project.push("files", "--why", "css/sit.css")
    assert 'there is no "css/sit.css" in this project' in done.stderr
    assert 'did you mean "css/site.css"?' in done.stderr
    assert project.push("files", "--why", "index.html/x").returncode == 2
    assert project.push("files", "--why", "../elsewhere").returncode == 2
