"""Draws the terminal pictures of the documentation: real pushes to an SSH server in this process, as SVG.

`make pictures` runs it. The commands and what they say are real; only the host's name and the path are those of the
documentation, by way of ssh's own configuration.
"""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import StringIO
from itertools import groupby
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from pushkit.testing import EmbeddedSsh

PICTURES = Path(__file__).parents[1] / "pictures"
COLUMNS, LINES = 300, 60
HOSTS = 24
PUSH = str(Path(sys.executable).with_name("push"))

THEME = TerminalTheme(
    (22, 27, 34),
    (215, 221, 229),
    [
        (72, 79, 88), (255, 123, 114), (86, 211, 100), (227, 179, 65),
        (121, 192, 255), (210, 168, 255), (86, 212, 221), (177, 186, 196),
    ],
    [
        (139, 148, 158), (255, 161, 152), (126, 231, 135), (242, 204, 96),
        (165, 214, 255), (226, 197, 255), (179, 240, 255), (255, 255, 255),
    ],
)  # fmt: skip
# rich's own format, without the fonts that it has browsers fetch from another host.
FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class Machine:
    """A project and servers: ``web1.example.com`` and so on, whose ``/srv/blog`` is a directory of this machine."""

    def __init__(self, directory: Path, servers: Sequence[EmbeddedSsh]) -> None:
        self.home, self.project = directory / "home", directory / "blog"
        (self.home / ".ssh").mkdir(parents=True)
        (self.project / "css").mkdir(parents=True)
        (self.home / ".ssh/config").write_text(
            "".join(
                f"Host web{number}.example.com\n  HostName {each.host}\n  Port {each.port}\n"
                f"  IdentityFile {each.key}\n  UserKnownHostsFile {each.known_hosts}\n"
                for number, each in enumerate(servers, 1)
            )
        )
        # OpenSSH looks in the home of the user database, whatever the environment says.
        common = f'strategy = "sftp"\nssh_config = "{self.home}/.ssh/config"\n'
        (self.project / "Pushfile").write_text(
            f'[project]\ndefault = "production"\n'
            f'[target.production]\nhost = "pushkit@web1.example.com"\npath = "blog"\n{common}'
            f'[target.fleet]\nhosts = "pushkit@web[1-{len(servers)}].example.com"\npath = "shop"\n{common}'
            'health = { command = "test -f index.html" }\nrollout = { batches = ["1", "25%", "50%", "100%"] }\n'
        )
        for number in range(1, 41):
            (self.project / f"post-{number:02}.html").write_text(f"<h1>Post {number}</h1>\n" * 40 * number)
        (self.project / "css/site.css").write_text("body { max-width: 40em }\n" * 100)
        (self.project / "index.html").write_text("<h1>Hello</h1>\n")
        self.git("init", "-q", "-b", "main")
        self.commit("A blog")

    def git(self, *words: str) -> None:
        """Run git in the project."""
        who = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
        subprocess.run(["git", *who, *words], cwd=self.project, check=True)

    def commit(self, message: str) -> None:
        """Commit all that changed."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def run(self, *words: str, until: Callable[[Sequence[str]], int] | None = None) -> Text:
        """Type a command, as a person does on a terminal; what the terminal shows of it in the end.

        With ``until``, what it showed when that was highest of the lines on the screen.
        """
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"], "TERM": "xterm-256color", "USER": "ann"}
        environment |= {"LOGNAME": "ann", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
        terminal, theirs = pty.openpty()
        process = subprocess.Popen(
            [PUSH, *words], cwd=self.project, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        screen = Screen(COLUMNS, LINES)
        stream = pyte.ByteStream(screen)
        best, shown = -1, Text()
        while select.select([terminal], [], [], 60)[0]:
            try:
                read = os.read(terminal, 65536)
            except OSError:  # Linux says that nobody writes any more
                break
            stream.feed(read)
            score = until(screen.display) if until else 0
            if score >= best:
                best, shown = score, drawn(screen)
        os.close(terminal)
        if process.wait():
            raise SystemExit(f"push {' '.join(words)} ended with {process.returncode}: {screen.display}")
        return Text().append("$ ", "green").append(" ".join(["push", *words]), "bold").append("\n").append_text(shown)


class Screen(pyte.Screen):
    """A terminal that shows faint text in another colour, which pyte alone does not."""

    def select_graphic_rendition(self, *attributes: int, **more: bool) -> None:
        """Change how the text that follows looks."""
        super().select_graphic_rendition(*(90 if each == 2 else each for each in attributes), **more)


def drawn(screen: Screen) -> Text:
    """What a screen shows, up to the last line that has anything."""
    lines = []
    for row, shown in enumerate(screen.display):
        chars = [screen.buffer[row][column] for column in range(len(shown.rstrip()))]
        line = Text()
        for (colour, bold), same in groupby(chars, key=lambda char: (char.fg, char.bold)):
            line.append(said("".join(char.data for char in same)), Style(color=colour_of(colour), bold=bold))
        lines.append(line)
    while lines and not lines[-1].plain:
        lines.pop()
    return Text("\n").join(lines)


def colour_of(name: str) -> str | None:
    """What rich calls a colour of pyte's."""
    if re.fullmatch("[0-9a-f]{6}", name):
        return f"#{name}"
    return {"default": None, "brown": "yellow"}.get(name, name.replace("bright", "bright_"))


def said(text: str) -> str:
    """``text`` with the documentation's names for what is of this machine alone."""
    text = re.sub(r"pushkit@(?=web\d)", "deploy@", text)
    return re.sub(rf"\w+@{re.escape(os.uname().nodename)}", "ann@laptop", text)


def states(lines: Sequence[str]) -> int:
    """How much there is to see of hosts on their way: states most of all, and the fewer lines the better."""
    found = set(re.findall(r"\d (prepared|switched|verified|done)\b", "\n".join(lines)))
    return len(found) * len(lines) - sum(1 for line in lines if line.strip())


def picture(name: str, title: str, columns: int, parts: Sequence[Text]) -> None:
    """Write what a terminal showed, folded to ``columns``, to ``NAME.svg``."""
    console = Console(record=True, width=columns, file=StringIO(), force_terminal=True)
    console.print(Text("\n\n").join(parts))
    path = PICTURES / f"{name}.svg"
    path.write_text(console.export_svg(title=title, theme=THEME, code_format=FORMAT, unique_id=name))
    sys.stdout.write(f"{path}\n")


@contextmanager
def machine() -> Iterator[Machine]:
    """A machine to type on, as long as its servers run."""
    with tempfile.TemporaryDirectory(prefix="push-pictures-") as directory, ExitStack() as running:
        servers = []
        for number in range(HOSTS):
            home = Path(directory) / f"server-{number}"
            home.mkdir()
            servers.append(running.enter_context(EmbeddedSsh(home)))
        yield Machine(Path(directory), servers)


def main() -> None:
    """Draw all pictures."""
    with machine() as here:
        index = here.project / "index.html"
        first = here.run()
        index.write_text("<h1>Hello again</h1>\n")
        here.commit("Say hello again")
        picture("push", "push", 84, [first, here.run("--dry-run"), here.run()])
        index.write_text("<h1>Hello wrld\n")
        here.commit("Say something wrong")
        picture(
            "rollback", "push rollback", 99, [here.run(), here.run("rollback"), here.run("status"), here.run("log")]
        )
        picture("fleet", "push fleet", 84, [here.run("fleet", until=states), here.run("status", "fleet")])


if __name__ == "__main__":
    main()
