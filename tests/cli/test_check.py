"""``push check``, ``push status`` and ``push rollback``."""

from __future__ import annotations

import json
import os
import re

from cli.project import Project


def test_findings_are_lines_and_an_error_is_exit_code_7(project: Project) -> None:
    project.acme(production="unfit")
    done = project.push("check")
    assert done.returncode == 7
    assert done.stdout.splitlines() == [
        "ok       production: login: works",
        "warning  production: disk: nearly full",
        "error    production: path: is read-only",
        "         hint: mount it again",
    ]
    assert "1 error on production" in done.stderr


def test_a_target_that_is_fit_is_exit_code_0_and_is_not_changed(project: Project) -> None:
    done = project.push("check", "production")
    assert done.returncode == 0, done.stderr
    assert all(line.startswith(("ok ", "warning ")) for line in done.stdout.splitlines())
    assert done.stdout
    assert not (project.root.parent / "live").exists()
    (project.root.parent / "live").mkdir()
    assert re.search(r"live: [\d.]+ [kMGTP]?B free$", project.push("check").stdout, re.MULTILINE)


def test_findings_as_json(project: Project) -> None:
    project.acme(production="unfit")
    done = project.push("check", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["severity"] for each in events if each["event"] == "finding"] == ["ok", "warning", "error"]
    assert done.returncode == 7


def test_all_checks_every_target_and_says_everything_that_is_wrong(project: Project) -> None:
    project.write(
        first='strategy = "acme"\ndo = "unfit"',
        bad='strategy = "dir"\npth = "x"',
        unknown='strategy = "dri"',
        away='strategy = "acme"\ndo = "away"',
        last='strategy = "acme"',
    )
    done = project.push("check", "--all")
    assert done.returncode == 7
    lines = done.stdout.splitlines()
    assert "error    first: path: is read-only" in lines
    assert "error    away: target: acme.example.com cannot be reached" in lines
    assert "         hint: is it on?" in lines
    assert lines[-1] == "ok       last: target: the Pushfile is valid and the target answers"
    for wrong in ("target.bad.pth: unknown option", "target.bad.path: missing", 'no strategy "dri"'):
        assert done.stderr.count(wrong) == 1
    assert "push: 2 errors on first, away; nothing was changed" in done.stderr


def test_all_is_no_error_where_nothing_is_wrong_and_takes_no_target(project: Project) -> None:
    project.acme(one="well", two="well")
    done = project.push("check", "--all", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert project.push("check", "--all", "one").returncode == 2
    project.write(one='strategy = "acme"', two='strategy = "dri"')
    assert project.push("check", "--all").returncode == 3


def test_status_marks_what_is_live(project: Project) -> None:
    assert project.push("status").stdout == "production: nothing is live\n"
    first = project.push().stdout.strip()
    (project.root / "index.html").write_text("two\n")
    second = project.push().stdout.strip()
    title, *releases = project.push("status").stdout.splitlines()
    assert title.startswith(f"production: {second} is live since 20")
    assert [line[: len(first) + 2] for line in releases] == [f"  {first}", f"* {second}"]


def test_status_as_json(project: Project) -> None:
    release = project.push().stdout.strip()
    (line,) = project.push("--json", "status").stdout.splitlines()
    event = json.loads(line)
    assert event["live"] == release
    assert [each["id"] for each in event["releases"]] == [release]


def test_rollback_brings_the_earlier_release_back_and_names_it(project: Project) -> None:
    first = project.push().stdout.strip()
    (project.root / "index.html").write_text("two\n")
    second = project.push().stdout.strip()
    live = project.root.parent / "live" / "current" / "index.html"
    done = project.push("rollback")
    assert (done.returncode, done.stdout) == (0, first + "\n"), done.stderr
    assert live.read_text() == "<h1>one</h1>\n"
    for arguments in ([second], ["production", first], ["production", second]):
        done = project.push("rollback", *arguments)
        assert (done.returncode, done.stdout) == (0, arguments[-1] + "\n"), done.stderr
    assert live.read_text() == "two\n"


def test_rollback_of_a_strategy_that_cannot_is_a_clear_error(project: Project) -> None:
    project.acme(production="well")
    done = project.push("rollback")
    assert done.returncode == 2
    assert "the acme strategy cannot roll back" in done.stderr


def test_rollback_of_a_misspelt_target_is_not_taken_for_a_release(project: Project) -> None:
    done = project.push("rollback", "prodution")
    assert done.returncode == 2
    assert "production" in done.stderr


def test_what_would_keep_a_push_from_being_planned_is_an_error(project: Project) -> None:
    assert project.push("check").returncode == 0
    os.mkfifo(project.root / "queue")
    done = project.push("check")
    assert done.returncode == 7
    assert "error    production: target: queue is a named pipe, which cannot be pushed" in done.stdout.splitlines()
    (project.root / "queue").unlink()
    (project.root / "latest").symlink_to("/etc")
    done = project.push("check")
    assert done.returncode == 0
    assert "warning  production: snapshot: latest is a link that leads out of the project: /etc" in done.stdout


def test_a_file_that_may_hold_a_secret_by_its_name_is_warned_of_before_it_travels(project: Project) -> None:
    for number in range(7):
        (project.root / f"key{number}.pem").write_text("x")
    (project.root / ".env").write_text("TOKEN=x")
    done = project.push("check")
    assert done.returncode == 0, done.stderr
    assert "snapshot: .env, key0.pem, key1.pem, key2.pem, key3.pem and 3 more would be sent" in done.stdout
    (project.root / ".pushignore").write_text(".env\n*.pem\n")
    assert "would be sent" not in project.push("check").stdout


def test_a_hold_and_what_shared_misses_are_errors(project: Project) -> None:
    live = project.root.parent / "live"
    project.write(production=f'strategy = "dir"\npath = "{live}"\nshared = [".env"]')
    done = project.push("check")
    assert done.returncode == 7
    assert "shared/.env is not there" in done.stdout
    project.write(production=f'strategy = "dir"\npath = "{live}"')
    assert project.push().returncode == 0
    assert project.push("hold", "-m", "moving house").returncode == 0
    done = project.push("check")
    assert done.returncode == 7
    assert "moving house" in done.stdout


def test_paths_that_cannot_lie_everywhere_are_warned_about(project: Project) -> None:
    (project.root / "INDEX.html").write_text("the other")
    (project.root / "what?.txt").write_text("x")
    done = project.push("check", "production")
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "1 path would take another's place on Windows and macOS: 'INDEX.html' and 'index.html'" in said
    assert "1 path cannot lie on Windows, 'what?.txt' first" in said


def test_a_secret_in_the_pushfile_is_warned_about_and_one_from_elsewhere_is_not(project: Project) -> None:
    project.write(production='strategy = "acme"\nsecret = "hunter2"')
    done = project.push("check")
    assert done.returncode == 0
    assert "warning  production: Pushfile: secret is written in the Pushfile" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    project.write(production='strategy = "acme"\nsecret = "${env:SECRET}"')
    assert "written in the Pushfile" not in project.push("check", SECRET="hunter2").stdout
