"""``push demo``: a whole push on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from pushkit.cli.settings import Settings
from pushkit.cli.stdout import flush, say
from pushkit.errors import UsageError


@click.command()
@click.option(
    "--keep",
    metavar="DIRECTORY",
    type=click.Path(path_type=Path),
    help="Work in DIRECTORY, which is empty or new, and leave the project and the target there.",
)
@click.pass_obj
def command(settings: Settings, keep: Path | None) -> None:
    """See a whole push on this machine: two releases of a small site, and a rollback.

    An SSH server and a web server run in this process, on ports of their own, as long as the demo does. Nothing
    outside a temporary directory is touched.
    """
    from tempfile import TemporaryDirectory  # noqa: PLC0415  (only the demo pays for it)

    from pushkit.demo import Demo  # noqa: PLC0415

    def tell(line: str) -> None:
        if not settings.quiet:
            say(line)
            flush()

    if keep is None:
        with TemporaryDirectory(prefix="push-demo-") as directory:
            Demo(Path(directory), tell).run()
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        used = any(keep.iterdir())
    except OSError as error:
        raise UsageError(f"{keep}: {error.strerror}", hint="name a directory that is empty or new") from error
    if used:
        raise UsageError(f"{keep} is not empty", hint="name a directory that is empty or new")
    Demo(keep.resolve(), tell).run()
    tell("")
    tell(f"{keep} keeps the project and, in server/boats, the target. The servers are gone.")
