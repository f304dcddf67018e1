"""The command line ``push``: the only place that knows exit codes.

What ``push --help`` and ``push --version`` need is imported here and in `pushkit.cli.group`, and is little: a
command's module is imported when the command runs.
"""

from __future__ import annotations

import os
import sys

from pushkit import __version__


def main() -> int:
    """Run the command line of this process and return its exit code.

    Exit codes are those of `pushkit.errors`, and 141 when the reader of stdout went away.
    """
    program = os.path.basename(sys.argv[0])
    program = program if program == "pushkit" else "push"
    if sys.platform == "win32":
        hint = "wsl --install, then pip install pushkit there"
        sys.stderr.write(f"{program}: on Windows, push runs in WSL, as on any Linux\n  hint: {hint}\n")
        return 2
    # Python has no streams for descriptors that were closed (`push >&-`): what goes there goes nowhere.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  (as long as the process)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"{program} {__version__}\n")
        return 0
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding cannot show must not end a push.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return run(program)
    except KeyboardInterrupt:  # before there was anything to stop, or while it was told
        return 130


def run(program: str) -> int:
    """Run the command line, and tell what goes wrong. ``program`` is the name it was called by."""
    from pushkit.cli.group import group  # noqa: PLC0415  (--version does without)
    from pushkit.cli.settings import Settings  # noqa: PLC0415
    from pushkit.cli.stdout import flush  # noqa: PLC0415

    settings = Settings()
    try:
        code = group.main(prog_name=program, obj=settings, standalone_mode=False)
        flush()
    except BaseException as error:
        from pushkit.cli.failure import told  # noqa: PLC0415
        from pushkit.cli.interrupts import leave  # noqa: PLC0415

        # A command line that is wrong is not read to its end.
        settings.json = settings.json or "--json" in sys.argv[1:]
        code = told(error, settings, program)
        leave(code)
        return code
    return code if isinstance(code, int) else 0
