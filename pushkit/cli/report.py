"""``push report``: a target's history as a page."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.cli.targets import where
from pushkit.errors import UsageError
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.jsonl import plain
from pushkit.ui.reporter import Lines


@click.command()
@click.argument("target", required=False, shell_complete=complete_target)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Where to write the page; - is standard output.  [default: push-report-TARGET.html]",
)
@common("pushfile", "json")
@click.pass_obj
def command(settings: Settings, target: str | None, output: str | None) -> None:
    """Write a page of TARGET's history: what is live on which host, a timeline of its pushes, where the time of each
    went, and what failed with the last that it printed.

    The page is one file that loads nothing. With --json, its data are one line on standard output, and no page is
    written.
    """
    if settings.json and output:
        raise UsageError("--json writes no page", hint="leave out --output")
    project, (name,) = load(settings, (target,) if target else ())
    with engine(settings, project, quiet=True) as made:
        status, log = made.report(name)
    now = datetime.now(UTC).replace(microsecond=0)
    if settings.json:
        say(json_line("report", target=name, project=project.name, made=now, status=plain(status), log=plain(log)))
        return
    from pushkit.report.history import History  # noqa: PLC0415  (--json does without)
    from pushkit.report.page import page  # noqa: PLC0415

    text = page(History(project.name, name, where(project.targets[name]), now, status, log))
    if output == "-":
        say(text.rstrip("\n"))
        return
    file = Path(output or f"push-report-{name}.html")
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}", hint="name another: --output FILE") from error
    if not settings.quiet:
        Lines(sys.stderr)(f"wrote {file}")
