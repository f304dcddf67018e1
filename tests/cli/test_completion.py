"""Shell completion, by the protocol that the shells speak."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from cli.project import PUSH, Project


def completed(project: Project, line: str, shell: str = "bash", **environment: str) -> list[str]:
    """The values that ``shell`` would offer for ``line``, whose last word is not finished."""
    words = line.split(" ")
    protocol = {"_PUSH_COMPLETE": f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    if shell == "fish":
        protocol["COMP_CWORD"] = words[-1]
    done = project.push(stdout=subprocess.PIPE, **(protocol | environment))
    assert done.stderr == ""
    lines = done.stdout.strip().splitlines()
    if shell == "bash":
        return [each.partition(",")[2] for each in lines]
    if shell == "zsh":  # a type, a value and a help text, each on a line
        return lines[1::3]
    return [each.partition(",")[2].partition("\t")[0] for each in lines if each.startswith("plain")] or lines[1::3]


@pytest.fixture
def site(project: Project) -> Project:
    """A project whose targets are valid, broken and of an unknown strategy."""
    project.write(production='strategy = "acme"', staging='strategy = "dir"', preview='strategy = "nowhere"')
    return project


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_first_word_is_a_target_or_a_command(site: Project, shell: str) -> None:
    assert completed(site, "push p", shell) == ["production", "preview", "plan", "plugins"]


def test_further_words_are_targets(site: Project) -> None:
    assert completed(site, "push production ") == ["production", "staging", "preview"]
    assert completed(site, "push production st") == ["staging"]


@pytest.mark.parametrize("command", ["plan", "check", "files", "status", "rollback"])
def test_the_target_of_a_command_is_completed(site: Project, command: str) -> None:
    assert completed(site, f"push {command} sta") == ["staging"]


def test_the_pushfile_that_the_line_names_is_read(site: Project) -> None:
    (site.root / "Pushfile").rename(site.root / "other.toml")
    assert completed(site, "push st") == ["status"]
    assert completed(site, "push -f other.toml st") == ["staging", "status"]
    assert completed(site, "push check --file other.toml st") == ["staging"]


def test_options_are_completed(site: Project) -> None:
    assert "--dry-run" in completed(site, "push --d")
    assert completed(site, "push files --d") == ["--du"]
    assert "--yes" in completed(site, "push production --y")


@pytest.mark.parametrize("text", ["[target", "\udcff", "target = 3\n"])
def test_a_broken_pushfile_completes_commands_and_says_nothing(site: Project, text: str) -> None:
    (site.root / "Pushfile").write_text(text, errors="surrogateescape")
    assert completed(site, "push sta") == ["status"]
    assert completed(site, "push check p") == []


def test_shells_are_offered_and_their_line_is_printed(site: Project) -> None:
    assert completed(site, "push completion z") == ["zsh"]
    done = site.push("completion", "bash")
    assert done.stdout == 'eval "$(_PUSH_COMPLETE=bash_source push)"\n'
    assert "~/.bashrc" in done.stderr
    assert "fish" in site.push("completion", "fish").stdout


def test_the_printed_line_makes_bash_complete_targets(site: Project) -> None:
    bash = shutil.which("bash")
    assert bash
    script = f"""
        PATH={PUSH.rpartition("/")[0]}:$PATH
        {site.push("completion", "bash").stdout}
        COMP_WORDS=(push production sta) COMP_CWORD=2
        "$(complete -p push | sed 's/.*-F \\([^ ]*\\) .*/\\1/')" push sta production
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        [bash, "--norc", "-c", script], cwd=site.root, env=site.environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("staging\n", "")
