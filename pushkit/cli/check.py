"""``push check``: connect, look, change nothing."""

from __future__ import annotations

import click

from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.errors import TargetError
from pushkit.model import Finding, Severity
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.text import counted, visible


@click.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...", shell_complete=complete_target)
@common("pushfile", "json")
@click.pass_obj
def command(settings: Settings, targets: tuple[str, ...]) -> None:
    """Validate the Pushfile, connect to each TARGET and say what would stand in the way of a push.

    Nothing is changed. Findings are lines of stdout; an error among them is exit code 7.
    """
    project, names = load(settings, targets)
    errors: list[str] = []
    with engine(settings, project, quiet=True) as made:
        for name in names:
            findings = made.check(name)
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
        raise TargetError(f"{counted(len(errors), 'error')} on {where}; nothing was changed")


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
