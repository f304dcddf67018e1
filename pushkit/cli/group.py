"""The group of all commands, each imported when it runs. A first word that is no command is a target."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import click

from pushkit import __version__
from pushkit.cli.settings import Settings, common, for_every, settings_of
from pushkit.errors import PushfileError, PushkitError, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Every command with its line of help; its module bears its name and exports ``command``.
COMMANDS = {
    "init": "Write a Pushfile.",
    "plan": "Say what a push would do, and do nothing.",
    "check": "Validate, connect, look; change nothing.",
    "files": "List what a push would send, and say why not.",
    "targets": "List the targets of this Pushfile.",
    "hosts": "List the hosts of a target.",
    "join": "Bring one new host to what is live on the others.",
    "status": "Say what is live on a target.",
    "diff": "Say what differs from what is live.",
    "log": "Say how the pushes to a target ended.",
    "report": "Write a page of a target's history.",
    "rollback": "Make an earlier release live again; nothing is sent.",
    "switch": "Make a prepared release live.",
    "resume": "Complete a push that died.",
    "hold": "Let nobody push to a target.",
    "release": "End a hold.",
    "unlock": "End a push of the queue, dead or alive.",
    "secrets": "Keep secrets in source control, encrypted.",
    "plugins": "List strategies, secret sources, observers and more commands.",
    "explain": "Explain a strategy's options.",
    "schema": "Print the Pushfile's JSON Schema.",
    "demo": "See a whole push on this machine.",
    "completion": "Print the line that makes a shell complete targets.",
}

# The command that a target, or nothing, stands for.
PUSH = "push"

# Options for a push, which may stand before the names of these commands too.
FOR_A_PUSH = {
    "dry_run": ("plan",),
    "prepare_only": ("plan",),
    "repair": ("plan",),
    "adopt": ("plan",),
    "wait": ("plan", "rollback", "switch", "resume", "join"),
}


class Commands(click.Group):
    """The commands of `COMMANDS`, then the targets of the Pushfile, then the commands of plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of `COMMANDS`, in the order of a person's first days with them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name of `COMMANDS`, imported; None for any other name."""
        if cmd_name not in COMMANDS and cmd_name != PUSH:
            return None
        command = import_module(f"pushkit.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return for_every(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that ``args`` begin with. Raises `UsageError` for a word that means nothing."""
        word = args[0]
        command = self.get_command(ctx, word)
        if command is None and not ctx.resilient_parsing:
            command = _named(ctx, args)
        if command is None or word == PUSH:
            # The targets themselves are the command's arguments.
            return "", self.get_command(ctx, PUSH), args[1:] if word == PUSH else args
        for name, others in FOR_A_PUSH.items():
            if getattr(settings_of(ctx), name) and word not in others:
                raise UsageError(f"--{name.replace('_', '-')} is for a push, and push {word} is none")
        return word, command, args[1:]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands, targets and options that begin with ``incomplete``."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  (only a shell asks)

        from pushkit.cli.context import complete_target  # noqa: PLC0415

        commands = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        targets = [CompletionItem(name) for name in complete_target(ctx, None, incomplete)]
        return targets + commands + click.Command.shell_complete(self, ctx, incomplete)


def _named(ctx: click.Context, args: list[str]) -> click.Command | None:
    """None when the first of ``args`` is a target, else the command of a plugin of this name.

    A Pushfile that cannot be read does not hide a plugin's command.
    """
    from pushkit import registry  # noqa: PLC0415  (needs more than --help may import)
    from pushkit.cli import push  # noqa: PLC0415
    from pushkit.cli.context import target_names  # noqa: PLC0415
    from pushkit.suggestion import did_you_mean  # noqa: PLC0415

    word = args[0]
    # Which Pushfile it is may be said after the target.
    ahead = Settings()
    ahead.pushfile = settings_of(ctx).pushfile
    push.command.make_context("", list(args), parent=ctx, obj=ahead, resilient_parsing=True).close()
    names: Sequence[str] = ()
    trouble: PushkitError | None = None
    try:
        names = target_names(ahead)
    except PushkitError as error:
        trouble = error
    if word in names:
        return None
    if any(plugin.name == word for plugin in registry.names("commands")):
        return for_every(registry.command(word))
    meant = did_you_mean(word, [*names, *COMMANDS])
    # Nobody writes a target's name in a directory that has none, unless it is a command misspelt.
    if trouble is not None and (isinstance(trouble, PushfileError) or not meant):
        raise trouble
    raise UsageError(
        f'"{word}" is neither a command nor a target',
        hint=meant or "push targets lists the targets, push --help the commands",
    )


@click.command(
    cls=Commands,
    invoke_without_command=True,
    subcommand_metavar="[TARGET... | COMMAND [ARGS]...]",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 2 command line, 3 Pushfile, 4 plugin, 5 snapshot, 6 refused, 7 target, "
    "8 failed on the way, 9 busy, 130 interrupted, 141 nobody reads stdout.",
)
@common()
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def group(ctx: click.Context) -> None:
    """Push this project to where it runs, as its Pushfile says.

    Without a TARGET, push to the default one.
    """
    from pushkit.secrets import variables  # noqa: PLC0415  (--help does without)

    variables.keep()
    if ctx.invoked_subcommand is None and not ctx.resilient_parsing:
        command = group.get_command(ctx, PUSH)
        assert command is not None
        with command.make_context("", [], parent=ctx) as inner:
            command.invoke(inner)
