"""``push [TARGET...]``: push to each target in order."""

from __future__ import annotations

import click

from pushkit.cli import plan
from pushkit.cli.context import complete_target, engine, load
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import check, flush, say
from pushkit.errors import PushFailed, UsageError
from pushkit.model import Outcome, Receipt
from pushkit.ui.text import visible


class Push(click.Command):
    """A command that is called by the program's name alone."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage without a name of its own."""
        formatter.write_usage(ctx.find_root().command_path, " ".join(self.collect_usage_pieces(ctx)))


@click.command(cls=Push, hidden=True)
@click.argument("targets", nargs=-1, metavar="[TARGET]...", shell_complete=complete_target)
@common()
@click.pass_obj
def command(settings: Settings, targets: tuple[str, ...]) -> None:
    """Push to each TARGET in order, to the default one when none is named.

    All of them are validated first. The id of each release that is live afterwards is a line of stdout; with
    --prepare-only, that of each release that can be switched to.
    """
    if settings.dry_run:
        plan.show(settings, targets)
        return
    project, names = load(settings, targets)
    with engine(settings, project) as made:
        for index, name in enumerate(names):
            settings.receipt = None
            try:
                tell(settings, name, made.push(name))
            except BaseException as error:
                if rest := names[index + 1 :]:
                    error.add_note(f"not started: {', '.join(rest)}")
                raise


def tell(settings: Settings, target: str, receipt: Receipt) -> None:
    """Write the id of what is live, or was prepared, to stdout; with --json it has been told there.

    Raises `PushFailed` when stdout cannot be written: whoever asked for the id must not go on without it.
    """
    prepared = receipt.release.id if receipt.outcome is Outcome.PREPARED and receipt.release else ""
    try:
        if settings.lines:
            check(settings.lines)
        else:
            if known := prepared or receipt.live:
                say(visible(known))
            flush()
    except UsageError as error:
        done = f"{receipt.live} is live on {target}" if receipt.live else f"{target} was pushed to"
        raise PushFailed(f"{f'{prepared} is prepared' if prepared else done}, but {error.message}") from error
