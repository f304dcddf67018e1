"""The shell scripts of bulk operations, as values: the functions here return their text.

No name that comes from a target is ever part of a script. Names of entries travel on standard input, separated by
NUL; paths are quoted. The scripts need ``sh`` and what `PROBE` finds, and run alike under dash, bash and BusyBox.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import join, quote

from pushkit.files.ranges import UNIT
from pushkit.files.remote import Capabilities
from pushkit.process import Command

MARKER = "pushkit-shell"
# On both outputs, since login scripts print on both before a script begins.
HEAD = f"echo {MARKER}\necho {MARKER} >&2\nset -eu\nLC_ALL=C\nexport LC_ALL\numask 022\n"
#: Adds to ``laps`` what is over, and when, by this host's clock: where there is one that costs no process, by that.
LAP = (
    "lap() { { read -r now rest </proc/uptime; } 2>/dev/null || now=$(date +%s 2>/dev/null) || now=0\n"
    'laps="$laps$1 $now "; }\n'
)
TOOLS = "tar cp rm chmod grep sed xargs sha256sum shasum df dd mkdir ln readlink cat rmdir setsid"
PROBE = f"""{HEAD}for tool in {TOOLS}; do
  if command -v "$tool" >/dev/null 2>&1; then echo "$tool"; fi
done
case $(cp --version 2>/dev/null) in *coreutils*) echo gnu-cp;; esac
case $(tar --version 2>/dev/null) in *'GNU tar'*) echo gnu-tar;; esac
case $(mv --help 2>&1) in *-T*) echo mv-T;; esac
for tool in zstd gzip; do
  case $({{ echo "$tool" | "$tool" -c | "$tool" -dc; }} 2>/dev/null) in "$tool") echo "$tool"; break;; esac
done
if printf 'a\\0b\\0' | xargs -0 printf '%s-' >/dev/null 2>&1; then echo xargs-0; fi
if printf 'a\\0b\\0' | xargs -0 -P 2 printf '%s-' >/dev/null 2>&1; then echo xargs-P; fi
echo "home $PWD"
"""
#: Seconds that a command has to end when it is asked to; then it is forced.
GRACE = 5
#: Between what `PROBE` printed and what a script printed that came with it.
NEXT = "pushkit-next"
#: What is printed in its place by who cannot enter the directory.
NOWHERE = "pushkit-nowhere"
#: The last line that `collect` prints: without it something was cut off.
ALL = "pushkit-all"


@dataclass(frozen=True, slots=True)
class Shell:
    """What a remote's shell has: the names that `PROBE` printed, and the directory that it starts in."""

    tools: frozenset[str] = frozenset()
    home: str = ""

    @property
    def unpacks(self) -> bool:
        """Whether a tar stream can be unpacked and what was made can be removed again."""
        return {"tar", "rm", "chmod"} <= self.tools

    @property
    def copies(self) -> bool:
        """Whether many files can be copied with one script."""
        return {"cp", "xargs-0"} <= self.tools

    @property
    def batches(self) -> bool:
        """Whether many operations can be done with one script."""
        return self.unpacks and {"mkdir", "ln", "readlink", "cat", "rmdir", "mv-T"} <= self.tools

    @property
    def sha256(self) -> str:
        """The command that prints sha256 digests, empty when there is none, or no way to give it many names."""
        if not {"grep", "sed", "xargs-0"} <= self.tools:
            return ""
        return next((cmd for cmd in ("sha256sum", "shasum -a 256") if cmd.split()[0] in self.tools), "")

    @property
    def capabilities(self) -> Capabilities:
        """What a remote with this shell can do."""
        return Capabilities(
            copies=self.copies, links=self.copies, digests=bool(self.sha256), scripts=self.batches, commands=True
        )


def probing(path: str, script: str) -> str:
    """`PROBE`, and ``script`` in the directory ``path``, which may be relative to where the shell starts."""
    return f"{PROBE}echo {NEXT}\n{into(path or '.')}{script}"


def into(root: str) -> str:
    """Enter the directory ``root``. Where that cannot be: print `NOWHERE` and what `obstacle` does, and end well."""
    return f"cd {quote(root)} 2>/dev/null || {{ echo {NOWHERE}\n{obstacle(root)}exit 0; }}\n"


def own_output(output: bytes) -> bytes:
    """What a script itself wrote to one of its outputs: all that follows the marker of its first line."""
    marker = f"{MARKER}\n".encode()
    at = output.find(marker)
    # Not by `partition`: what a server has to say may be long, and is held once.
    return output[at + len(marker) :] if at >= 0 else b""


def unpack(directory: str, shell: Shell, *, times: bool = False, undo: str = "") -> str:
    """Unpack the tar on standard input. Files get the archive's ``times``, or that of their arrival."""
    return f"{HEAD}cd {quote(directory)}\n{'' if undo else 'exec '}{untar(shell, times=times, undo=undo)}\n"


def untar(shell: Shell, *, times: bool, undo: str = "") -> str:
    """A command that unpacks the tar on standard input, which the command ``undo`` decompresses.

    Without ``times`` the time of extraction becomes the files' time (``-m``): the archive's is fixed, and web caches
    would take a changed file of the same size for the old one.
    """
    options = " --no-overwrite-dir" if "gnu-tar" in shell.tools else ""
    if times and "gnu-tar" in shell.tools:
        # A file whose time is ahead of the server's clock is no failure.
        options += " --warning=no-timestamp"
    tar = f"tar{options} -x -p -o {'' if times else '-m '}-f -"
    if not undo:
        return tar
    # sh tells of the last command of a pipe alone. That is tar, to which what was cut off between two files is whole.
    # So how the other ended, unless it was well, is what the pipe prints. And a tar that stops at the archive's end
    # must not end it: cat takes the rest.
    pipe = f"{{ {undo} || echo $? >&3; }} | {{ {tar} >&2 && cat >/dev/null; }}"
    return (
        f'ended=$( {{ {pipe}; }} 3>&1 ) && {{ [ -z "$ended" ] || '
        f"{{ echo 'what arrived cannot be decompressed: {undo}' >&2; exit 1; }}; }}"
    )


def copy_files(source: str, directory: str, shell: Shell, *, link: bool = False) -> str:
    """Copy each name of standard input, a file or a symlink, its mode and times kept. The parents are there."""
    return f"{HEAD}cd {quote(source)}\nexec {copy_all(directory, shell, link=link)}\n"


def copy_all(directory: str, shell: Shell, *, link: bool) -> str:
    """A command that copies each name of standard input, or makes a hard link to it."""
    to = quote(directory)
    xargs = "xargs -0 -P 2" if "xargs-P" in shell.tools else "xargs -0"
    if "gnu-cp" in shell.tools:
        # --parents leaves directories alone that are there.
        return f"{xargs} cp -pP {'-l' if link else '--reflink=auto'} --parents -t {to}"
    one = 'ln "$name" "$to/$name"' if link else 'cp -pPR "$name" "$to/$name"'
    each = f"set -e; to=$1; shift; for name; do {one}; done"
    return f"{xargs} sh -c {quote(each)} sh {to}"


def kinds() -> str:
    """A command that prints a letter for each name of standard input: what it is, ``n`` where there is nothing."""
    look = (
        'if [ -L "$each" ]; then printf l; elif [ -d "$each" ]; then printf d; elif [ -f "$each" ]; then printf f; '
        'elif [ -e "$each" ]; then printf o; else printf n; fi'
    )
    return f"xargs -0 sh -c {quote(f'for each; do {look}; done')} sh"


def shares_copies(path: str) -> str:
    """Print ``yes`` where a copy of the file ``path`` shares its blocks with it."""
    where, copy = quote(path), quote(f"{path}.copy")
    return f"{HEAD}if cp --reflink=always {where} {copy} 2>/dev/null; then echo yes; fi\nexec rm -f {copy}\n"


def digest_all(directory: str, shell: Shell) -> str:
    """Print one sha256: that of the digests of each name of standard input, in order, one a line.

    GNU's sha256sum begins a line with a backslash where it escaped the name. There is no backslash in the script,
    since not every login shell that it passes through leaves one alone.
    """
    return f"{HEAD}cd {quote(directory)}\n{digests(shell)} | {shell.sha256}\n"


def digests(shell: Shell) -> str:
    """A command that prints the sha256 of each name of standard input, in order, one a line."""
    return f"xargs -0 {shell.sha256} 2>/dev/null | grep -oE '^[^0-9a-f]?[0-9a-f]{{64}} ' | sed 's/[^0-9a-f]//g'"


def digest_each(directory: str, shell: Shell) -> str:
    """Print a line for each name of standard input: its sha256, or nothing where it cannot be read."""
    # A process for each file is slow, and exact whatever the names hold; it is only asked when something is wrong.
    each = f'for name; do {shell.sha256} 2>/dev/null <"$name" || echo; done'
    return f"{HEAD}cd {quote(directory)}\nexec xargs -0 sh -c {quote(each)} sh 2>/dev/null\n"


def digest_blocks(root: str, path: str, block: int, count: int, shell: Shell) -> str:
    """Print the sha256 of each of the first ``count`` blocks of a file, each ``block`` bytes long: so many `UNIT`s.

    Of one that is not there, or no file, nothing.
    """
    where, units = quote(path), block // UNIT
    read = f"dd if={where} bs={UNIT} skip=$((n*{units})) count={units} 2>/dev/null"
    return (
        f"{HEAD}cd {quote(root)}\nif [ -L {where} ] || ! [ -f {where} ]; then exit 0; fi\n"
        f"n=0\nwhile [ $n -lt {count} ]; do {read} | {shell.sha256}; n=$((n+1)); done\n"
    )


def base(root: str, path: str, new: str, size: int, shell: Shell) -> str:
    """Copy the file ``path`` to ``new``, as one of ``size`` bytes that nobody else can read."""
    copy = "cp --reflink=auto" if "gnu-cp" in shell.tools else "cp"
    to = quote(f"./{new}")
    return (
        f"{HEAD}cd {quote(root)}\numask 077\n{copy} {quote(f'./{path}')} {to}\nchmod 600 {to}\n"
        f"{silent(f'dd if=/dev/null of={quote(new)} bs=1 seek={size}')}"
    )


def write_part(root: str, path: str, start: int, undo: str) -> str:
    """Write standard input, which the command ``undo`` decompresses, into a file from ``start`` on: so many `UNIT`s."""
    # dd gathers what comes in pieces of any length to blocks that begin where they should.
    write = f"dd of={quote(path)} ibs=65536 obs={UNIT} seek={start // UNIT} conv=notrunc"
    return f"{HEAD}cd {quote(root)}\numask 077\n{silent(write, undo)}"


def silent(dd: str, undo: str = "") -> str:
    """The command ``dd``, of whose report nothing is heard unless it fails."""
    return f'{f"{undo} | " if undo else ""}{{ said=$( {dd} 2>&1 ) || {{ echo "$said" >&2; exit 1; }}; }}\n'


def remove(path: str) -> str:
    """Remove a file or a directory and all in it, closed directories too. Symlinks are not followed."""
    where = quote(path)
    return (
        f"{HEAD}rm -rf {where} 2>/dev/null && exit 0\n"
        f"if [ ! -L {where} ]; then chmod -R u+rwX {where} 2>/dev/null || :; fi\n"
        f"exec rm -rf {where}\n"
    )


def obstacle(root: str) -> str:
    """Print what would keep this user from making ``root`` or writing in it, one word; nothing when nothing would."""
    parent = root.rpartition("/")[0] or ("/" if root.startswith("/") else ".")
    where, above = quote(root), quote(parent)
    return (
        f"if [ -d {where} ]; then [ -w {where} ] && [ -x {where} ] || echo closed\n"
        f"elif [ -e {where} ]; then echo file\n"
        f"elif [ ! -d {above} ]; then echo missing\n"
        f"else [ -w {above} ] && [ -x {above} ] || echo above\nfi\n"
    )


def free_blocks(path: str) -> str:
    """Print how much room there is, in POSIX's format, in units of 1,024 bytes."""
    return f"{HEAD}exec df -P -k {quote(path)}\n"


def run(command: Command, shell: Shell) -> str:
    """Run ``command`` in a process group of its own, and end with its exit code; both its outputs become one.

    Its environment is no part of the script, which others on the host can see: it reads `variables` from its input.
    The whole group is ended with it: when standard input ends, so also when the connection does, and some time after
    the command's time is over. Where there is no ``setsid`` the group is that of a job of the shell, if it has jobs.
    """
    lines = variables(command).count(b"\n")
    read = (
        f'n={lines} given=\nwhile [ $n -gt 0 ] && IFS= read -r line; do given="$given$line\n"; n=$((n-1)); done\n'
        'eval "$given"\nunset n given line\n'
    )
    start = f"{join(command.argv)} </dev/null 3<&- &\n"
    start = f"setsid {start}" if "setsid" in shell.tools else f"set -m 2>/dev/null\n{start}"
    return (
        f"echo {MARKER}\nexec 3<&0 2>&1\ncd {quote(str(command.directory))} || exit 1\n{read}{start}"
        "pid=$!\nexec 2>/dev/null\n"
        "send() { kill -s $1 -- -$pid || kill -s $1 $pid; }\n"
        f"stop() {{ send TERM; n=0; while [ $n -lt {GRACE} ] && send 0; do sleep 1; n=$((n+1)); done; send KILL; }}\n"
        "{ cat <&3; stop; } >/dev/null &\nheard=$!\n"
        f"{{ n=0; while [ $n -lt {math.ceil(command.timeout) + GRACE} ] && send 0; do sleep 1; n=$((n+1)); done; "
        "if send 0; then stop; fi; } >/dev/null 3<&- &\nlate=$!\n"
        "wait $pid\ncode=$?\nkill -s KILL $heard $late\nstop\nexit $code\n"
    )


def variables(command: Command) -> bytes:
    """The environment of ``command``, as `run` reads it: lines of shell."""
    text = "".join(f"{name}={quote(value)}\nexport {name}\n" for name, value in command.environment.items())
    return text.encode("utf-8", "surrogateescape")


def collect(trees: Sequence[str], listed: Sequence[str], looked: Sequence[str], pointed: tuple[str, str] | None) -> str:
    """Print what `Remote.collect` asks for, below the current directory.

    A line for each path of ``looked`` and ``listed`` and for the directories in the latter, with a letter for its kind
    before it; how much room there is, in units of 1,024 bytes, after an ``s``; an empty line; and a tar of everything
    else.
    """
    look = (
        'look() { if [ -L "$1" ]; then echo "l $1"; elif [ -d "$1" ]; then echo "d $1"; '
        'elif [ -f "$1" ]; then echo "f $1"; elif [ -e "$1" ]; then echo "o $1"; fi; }\n'
    )
    lines = [f"look {quote(path or '.')}\n" for path in (*looked, *listed)]
    lines += [
        f'for each in {quote(path)}/*; do if [ -d "$each" ] && ! [ -L "$each" ]; then echo "d $each"; fi; done\n'
        for path in listed
    ]
    chosen = "".join(
        f'if [ -e {quote(path)} ] || [ -L {quote(path)} ]; then set -- "$@" {quote(path)}; fi\n' for path in trees
    )
    if pointed:
        link, directory = pointed
        chosen += (
            f'if [ -L {quote(link)} ]; then set -- "$@" {quote(link)}; to=$(readlink {quote(link)})\n'
            f'if [ -f {quote(directory)}/"${{to##*/}}" ]; then set -- "$@" {quote(directory)}/"${{to##*/}}"; fi; fi\n'
        )
    lines.append('df -P -k . 2>/dev/null | while read -r a b c free rest; do echo "s $free"; done\n')
    # A ticket that ends while it is read makes tar complain, and no archive worse.
    return f'{look}{"".join(lines)}echo\nset --\n{chosen}[ $# -eq 0 ] || tar -cf - "$@" 2>/dev/null || :\necho {ALL}\n'
