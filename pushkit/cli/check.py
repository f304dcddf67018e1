"""``push check``: connect, look, change nothing."""

from __future__ import annotations

import click

from pushkit import pushfile
from pushkit.amount import counted
from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.errors import (
    Interrupted,
    PluginError,
    Problem,
    PushfileError,
    PushkitError,
    TargetError,
    UsageError,
)
from pushkit.model import Finding, Project, Severity
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.text import visible


@click.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...", shell_complete=complete_target)
@click.option("--all", "every", is_flag=True, help="Check every target of the Pushfile.")
@click.option("--deep", is_flag=True, help="Compare every path that is live with what was pushed.")
@common("pushfile", "json")
@click.pass_obj
def command(settings: Settings, targets: tuple[str, ...], every: bool, deep: bool) -> None:
    """Validate the Pushfile, connect to each TARGET and say what would stand in the way of a push.

    Nothing is changed. Findings are lines of stdout; an error among them is exit code 7. What is wrong with one
    target keeps no other from being looked at; the exit code is the highest.
    """
    if every and targets:
        raise UsageError("--all is every target: name none beside it")
    project, names, failures = valid(settings) if every else (*load(settings, targets), [])
    errors: list[str] = []
    with engine(settings, project, quiet=True) as made:
        for name in names:
            try:
                findings = made.check(name, deep=deep)
            except Interrupted:
                raise
            except TargetError as error:
                if not every and len(names) == 1:
                    raise
                # The others are looked at all the same.
                findings = [Finding(Severity.ERROR, "target", error.message, error.hint)]
            except PushkitError as error:
                failures.append(error)
                continue
            for finding in findings:
                if settings.json:
                    say(json_line("finding", target=name, **finding_values(finding)))
                else:
                    write(name, finding)
                errors += [name] * (finding.severity is Severity.ERROR)
            if not findings and not settings.json:
                write(name, Finding(Severity.OK, "target", "the Pushfile is valid and the target answers"))
    if errors:
        where = ", ".join(dict.fromkeys(errors))
        failures.append(TargetError(f"{counted(len(errors), 'error')} on {where}; nothing was changed"))
    if failures:
        raise failures[0] if len(failures) == 1 else ExceptionGroup("several targets", failures)


def valid(settings: Settings) -> tuple[Project, list[str], list[PushkitError]]:
    """The project, the names of its valid targets, and what is wrong with the others.

    Raises `PushfileError` when something is wrong with the Pushfile as a whole.
    """
    path = pushfile.find(settings.pushfile)
    project = pushfile.load(path, select=None)
    names: list[str] = []
    problems: set[Problem] = set()
    failures: list[PushkitError] = []
    for name in project.targets:
        try:
            pushfile.load(path, select=(name,))
        except PushfileError as error:
            problems.update(error.problems)
            file = error.file
        except PluginError as error:
            failures.append(error)
        else:
            names.append(name)
    if problems:
        failures.append(PushfileError(file, tuple(problems)))
    return project, names, failures


def finding_values(finding: Finding) -> dict[str, str]:
    """The fields of a finding by name."""
    return {
        "severity": finding.severity,
        "subject": finding.subject,
        "message": finding.message,
        "hint": finding.hint,
    }


def write(target: str, finding: Finding) -> None:
    """Write a finding to stdout, what to do about it on a line of its own."""
    say(f"{finding.severity:<8} {visible(target)}: {visible(finding.subject)}: {visible(finding.message)}")
    if finding.hint:
        say(f"{'':<8} hint: {visible(finding.hint)}")
