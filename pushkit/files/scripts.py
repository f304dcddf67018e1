"""The shell scripts of bulk operations, as values: the functions here return their text.

No name that comes from a target is ever part of a script. Names of entries travel on standard input, separated by
NUL; paths are quoted. The scripts need ``sh`` and what `PROBE` finds, and run alike under dash, bash and BusyBox.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from shlex import join, quote

from msgspec import Struct

from pushkit.blocks import UNIT
from pushkit.files.programs import COPY, python
from pushkit.files.ranges import Range
from pushkit.files.remote import Capabilities
from pushkit.process import Command

#: A function that makes a small file, given its path and its content, that nobody else may read: whole or not at all,
#: or, with a third argument, where it is. The shell writes it itself, and may call a full disk nothing but an I/O
#: error: then cat says what is wrong.
KEEP = """keep() {
umask 077
new=$1; [ $# -gt 2 ] || new=$1.new
printf %s "$2" 2>/dev/null >"$new" || printf %s "$2" | cat >"$new"
umask 022
[ $# -gt 2 ] || mv -fT "$new" "$1"
}
"""
#: A function that adds a line to a file, which nobody else may read, with one write. What is half written, since the
#: disk is full, is a line of its own when there is room again.
ADD = """add() {
umask 077
printf %s "$2" 2>/dev/null >>"$1" || { echo; printf %s "$2"; } | cat >>"$1"
umask 022
}
"""
MARKER = "pushkit-shell"
# On both outputs, since login scripts print on both before a script begins.
HEAD = f"echo {MARKER}\necho {MARKER} >&2\nset -eu\nLC_ALL=C\nexport LC_ALL\numask 022\n"
#: Adds to ``laps`` what is over, and when, by this host's clock: where there is one that costs no process, by that.
LAP = (
    "lap() { { read -r now rest </proc/uptime; } 2>/dev/null || now=$(date +%s 2>/dev/null) || now=0\n"
    'laps="$laps$1 $now "; }\n'
)
TOOLS = (
    "tar cp rm chmod grep sed tail tr awk xargs sha256sum shasum openssl df dd mkdir ln readlink cat rmdir setsid "
    "python3"
)
#: Of so many bytes, and more, OpenSSL computes digests: up to five times as fast as coreutils, once it has started.
QUICK = 32 << 20
#: Bytes that are read at once of what is looked at.
PIECE = 1 << 16
OPENSSL = "openssl dgst -sha256 -r"
#: The word "gzip", compressed by it, as printf is told it. Not every gzip can be asked for its version.
GZIP = r"\037\213\010\000\000\000\000\000\004\003\113\257\312\054\000\000\362\134\351\072\004\000\000\000"
PROBE = f"""{HEAD}for tool in {TOOLS}; do
  if command -v "$tool" >/dev/null 2>&1; then echo "$tool"; fi
done
# All of them are of the coreutils, or none.
case $(cp --version 2>/dev/null) in *coreutils*) echo gnu-cp; echo mv-T; echo dd-whole;;
*) case $(mv --help 2>&1) in *-T*) echo mv-T;; esac
if dd if=/dev/null iflag=fullblock >/dev/null 2>&1; then echo dd-whole; fi;; esac
case $(tar --version 2>/dev/null) in *'GNU tar'*) echo gnu-tar;; esac
# An option that zstd does not know is an error before its version is told; the shell itself is a file that is there.
case $(zstd -dcq --patch-from=/bin/sh -V 2>/dev/null) in *[0-9].[0-9]*) echo zstd; echo zstd-patch;;
*) case $(zstd -V 2>/dev/null) in *[0-9].[0-9]*) echo zstd;;
*) case $(printf '{GZIP}' | gzip -dc 2>/dev/null) in gzip) echo gzip;; esac;; esac;; esac
case $(find /dev/null -printf %f 2>/dev/null) in null) echo find-tells;; esac
if xargs -0 -r -P 2 true </dev/null >/dev/null 2>&1; then echo xargs-0; echo xargs-P
elif printf 'a\\0b\\0' | xargs -0 true >/dev/null 2>&1; then echo xargs-0; fi
echo "home $PWD"
"""
GRACE = 5
"""Seconds that a command has to end when it is asked to; then it is forced."""
#: Between what `PROBE` printed and what a script printed that came with it.
NEXT = "pushkit-next"
#: What is printed in its place by who cannot enter the directory.
NOWHERE = "pushkit-nowhere"
#: What python3 does to fetch.
FETCH = (
    "import shutil, sys, urllib.request as u\n"
    "with u.urlopen(sys.stdin.readline().strip(), timeout=60) as a: shutil.copyfileobj(a, sys.stdout.buffer)"
)
#: The last line that `collect` prints: without it something was cut off.
ALL = "pushkit-all"


class Shell(Struct, frozen=True):
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

    def summing(self, size: int) -> str:
        """As `sha256`, for files of ``size`` bytes in all."""
        return OPENSSL if self.sha256 and size >= QUICK and "openssl" in self.tools else self.sha256

    @property
    def quickest(self) -> str:
        """As `sha256`, where each is of many bytes."""
        return self.summing(QUICK)

    @property
    def patches(self) -> bool:
        """Whether parts of a file can be compared and written."""
        return "dd" in self.tools and bool(self.sha256)

    @property
    def lists(self) -> bool:
        """Whether it can read the names in a manifest."""
        return {"tail", "tr", "awk", "grep", "xargs-0"} <= self.tools

    @property
    def spares(self) -> bool:
        """Whether it can tell what differs in two trees, and make one of two."""
        return self.batches and self.copies and self.lists and {"gnu-cp", "find-tells"} <= self.tools

    @property
    def capabilities(self) -> Capabilities:
        """What a remote with this shell can do."""
        return Capabilities(
            copies=self.copies,
            links=self.copies,
            digests=bool(self.sha256),
            scripts=self.batches,
            commands=True,
            patches=self.patches,
            spares=self.spares,
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


#: How the line begins by which a script says that it could not fetch; then it ends.
UNFETCHED = "unfetched "
#: What fetches, by what each is known, and which paper it reads. None is told the URL by its arguments, which everybody
#: on the host can see. They have so many seconds to be let in, and a minute in which nothing comes is the end.
FETCHERS = (
    ("command -v curl", "curl -q -fsS --retry 2 --connect-timeout 15 --speed-time 60 --speed-limit 1 -K -", "curl"),
    # BusyBox's takes no URL but as an argument, and does not know this option.
    ("wget --no-config -V", "wget --no-config -nv --tries=3 --connect-timeout=15 --read-timeout=60 -O- -i -", "url"),
    ("command -v python3", f"python3 -I -c {quote(FETCH)}", "url"),
)


def fetching(desk: str, shell: Shell) -> str:
    """Fetch what the papers in ``desk`` name, as ``parcel`` beside them, and compare it with its digest.

    Where that cannot be: print why, the last line that was said, after `UNFETCHED`, and end well.
    """
    parcel = quote(f"{desk}/parcel")
    ways = [
        f"if {known} >/dev/null 2>&1; then\n"
        f'said=$( {fetch} 2>&1 >{parcel} <{quote(f"{desk}/{paper}")} ) || unfetched "${{said:-it failed}}"\n'
        for known, fetch, paper in FETCHERS
    ]
    return (
        f"line='\n'\nunfetched() {{ echo {quote(UNFETCHED)}\"${{1##*$line}}\"; exit 0; }}\n{'el'.join(ways)}"
        "else unfetched 'it has neither curl nor wget nor python3'\nfi\n"
        f"said=$( {shell.sha256} <{parcel} )\n"
        f'[ "${{said%% *}}" = "$(cat {quote(f"{desk}/sha256")})" ] || unfetched "what came is not what was put there"\n'
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


def listed(manifest: str, kinds: str, others: str = "", *, first: int = 1, last: int = 0) -> str:
    """A command that prints the names of some entries of a manifest, as `names` does: those of ``kinds``, letters.

    Those that the file ``others`` has, one a line, are left out, then all before the ``first`` and after the ``last``;
    0 is none. No name may hold a line break.
    """
    some = f"&&++n>={first}{f'&&n<={last}' * bool(last)}" if last or first > 1 else ""
    within = "" if others else some
    chosen = f'NR%4==1{{k=substr($0,1,1)}} NR%4==2{{p=$0}} NR%4==0&&index("{kinds}",k){within}{{print "./" p}}'
    command = f"tail -n +2 {manifest} | tr '\\000' '\\n' | awk {quote(chosen)}"
    if others:
        command += f" | grep -vxFf {others}"
        command += f" | awk {quote(some.removeprefix('&&'))}" if some else ""
    return f"{command} | tr '\\n' '\\000'"


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


def digest_all(directory: str, shell: Shell, size: int) -> str:
    """Print one sha256: that of the digests of each name of standard input, in order, one a line.

    The files have ``size`` bytes in all.

    GNU's sha256sum begins a line with a backslash where it escaped the name. There is no backslash in the script,
    since not every login shell that it passes through leaves one alone.
    """
    return f"{HEAD}cd {quote(directory)}\n{digests(shell.summing(size))} | {shell.sha256}\n"


def digests(sha256: str) -> str:
    """A command that prints the digest of each name of standard input, in order, one a line, by ``sha256``."""
    return f"xargs -0 {sha256} 2>/dev/null | grep -oE '^[^0-9a-f]?[0-9a-f]{{64}} ' | sed 's/[^0-9a-f]//g'"


def digest_each(directory: str, shell: Shell) -> str:
    """Print a line for each name of standard input: its sha256, or nothing where it cannot be read."""
    # A process for each file is slow, and exact whatever the names hold; it is only asked when something is wrong.
    each = f'for name; do {shell.sha256} 2>/dev/null <"$name" || echo; done'
    return f"{HEAD}cd {quote(directory)}\nexec xargs -0 sh -c {quote(each)} sh 2>/dev/null\n"


def copied(  # noqa: PLR0917
    root: str, path: str, new: str, size: int, block: int, finer: int, shell: Shell, *, own: bool
) -> str:
    """Copy the file ``path`` to ``new``, as one of ``size`` bytes that nobody else can read, and print its blocks.

    One of our ``own``, which nobody else needs, is moved. A line for each block of ``block`` bytes: its number, and its
    sha256 as it lies there then; and where that is not the one of standard input, a line of all that are wanted, those
    of the pieces of ``finer`` bytes in it, unless so much differs that they are not worth it. Both are so many `UNIT`s.
    Of a ``path`` that is not there, or no file, nothing is copied or printed.
    """
    base, to = quote(f"./{path}"), quote(f"./{new}")
    units, count = block // UNIT, -(-size // block)
    half, most = count // 2, max(4, count // 4)
    long = silent(f"dd if=/dev/null of={to} bs=1 seek={size}")
    if own:
        take = f"mv -f {base} {to}\nchmod 600 {to}\nshared=1\n{long}"
    else:
        # A new file, which may be made of another one's blocks.
        share = f"cp --reflink=always {base} {to} 2>/dev/null && chmod 600 {to}"
        share = f"if {share}; then shared=1; else rm -f {to}; fi\n" if "gnu-cp" in shell.tools else ""
        take = f"shared=\n{share}{long}"
    copy = silent(f"dd if={base} of={to} bs={UNIT} skip=$((n*{units})) seek=$((n*{units})) count={units} conv=notrunc")
    look = ""
    if finer < block:
        # Where a half differs in much it is not worth it.
        each = f'sum $((n*{units}+m)) {finer // UNIT}; line="$line $got"; m=$((m+{finer // UNIT}))'
        look = (
            f'if [ "$got" != "$1" ] && [ $k -lt {most // 2} ]; then\n'
            f"k=$((k+1)) m=0; while [ $m -lt {units} ]; do {each}; done\nfi\n"
        )
    some = (
        "some() { k=0; while [ $n -lt $end ]; do\n"
        f'if [ -z "$shared" ]; then\n{copy}[ $n -lt {count - 1} ] || {{ {long.strip()}; }}\nfi\n'
        f'sum $((n*{units})) {units}; line="$n $got"\n{look}echo "$line"; shift; n=$((n+1)); done; }}\n'
    )
    # Two at once: what the second half prints waits in the pipe until the first has been printed.
    work = (
        f"{summing(new, shell)}{some}set -- $wanted\n"
        f'{{ shift {half}; n={half} end={count}; some "$@"; }} | {{ n=0 end={half}; some "$@"; cat; }}\n'
    )
    if "python3" in shell.tools:
        program = python(COPY, f"./{path}", f"./{new}", size, block, finer, most)
        run = f'said=$( echo "$wanted" | {program} "${{shared:-0}}" )'
        work = f'if {run}; then echo "$said"; else\n{work}fi\n'
    return (
        f"{HEAD}cd {quote(root)}\nIFS= read -r wanted\nif [ -L {base} ] || ! [ -f {base} ]; then exit 0; fi\n"
        f"umask 077\n{take}{work}"
    )


def summing(path: str, shell: Shell) -> str:
    """A function that sets ``got`` to the sha256 of `UNIT`s of a file, given the number of the first, and how many."""
    # By pieces that stay in the cache of a processor.
    at = UNIT // PIECE
    read = f"dd if={quote(path)} bs={PIECE} skip=$(($1*{at})) count=$(($2*{at})) 2>/dev/null"
    return f"sum() {{ got=$( {read} | {shell.quickest} ); got=${{got%% *}}; }}\n"


def write_parts(root: str, path: str, pieces: Sequence[Range], shell: Shell, undo: str = "") -> str:
    """Write standard input, which the command ``undo`` decompresses, into a file, as ``pieces`` that follow each other.

    Print a line for each: its first `UNIT`, and the sha256 of what lies there then.
    """
    listed = " ".join(f"{start // UNIT}:{-(-end // UNIT) - start // UNIT}" for start, end in pieces)
    each = f"for each in {listed}; do n=${{each%:*}} c=${{each#*:}}\n"
    to = quote(path)
    if "dd-whole" in shell.tools:
        write = silent(f"dd of={to} bs={UNIT} seek=$n count=$c iflag=fullblock conv=notrunc")
        work = f'{each}{write}echo "$n $c"\ndone\n'
    else:
        # dd gathers what comes in pieces of any length to blocks that begin where they should.
        write = silent(f"dd of={to} ibs={PIECE} obs={UNIT} seek={pieces[0].start // UNIT} conv=notrunc")
        work = f'{write}{each}echo "$n $c"\ndone\n'
    # While one is looked at the next arrives.
    work = f'{{ {work}}} | while read -r n c; do sum $n $c; echo "$n $got"; done\n'
    return f"{HEAD}cd {quote(root)}\numask 077\n{summing(path, shell)}{f'{undo} | ' if undo else ''}{work}"


def silent(dd: str) -> str:
    """The command ``dd``, of whose report nothing is heard unless it fails."""
    return f'said=$( {dd} 2>&1 ) || {{ echo "$said" >&2; exit 1; }}\n'


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


def collect(
    trees: Sequence[str],
    listed: Sequence[str],
    looked: Sequence[str],
    pointed: tuple[str, str] | None,
    known: tuple[str, Collection[str]] = ("", ()),
) -> str:
    """Print what `Remote.collect` asks for, below the current directory.

    A line for each path of ``looked`` and ``listed`` and for the directories in the latter, with a letter for its kind
    before it; a ``k``, the digest and the path of each file that is ``known``; how much room there is, in units of
    1,024 bytes, after an ``s``; an empty line; and a tar of everything else.
    """
    records, digests = known
    take = 'set -- "$@" "$each"'
    if digests:
        # `read` takes no more of the file than its first line.
        take = (
            'd=; read -r a b d <"$each" 2>/dev/null || :\n'
            f'case $d in {"|".join(digests)}) echo "k $d $each";; *) {take};; esac'
        )
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
        f'for each in {quote(path)}/*; do if [ -f "$each" ] && ! [ -L "$each" ]; then {take}\nfi; done\n'
        if path == records
        else f'if [ -e {quote(path)} ] || [ -L {quote(path)} ]; then set -- "$@" {quote(path)}; fi\n'
        for path in trees
    )
    if pointed:
        link, directory = pointed
        chosen += (
            f'if [ -L {quote(link)} ]; then set -- "$@" {quote(link)}; to=$(readlink {quote(link)})\n'
            f'each={quote(directory)}/"${{to##*/}}"; if [ -f "$each" ]; then {take}\nfi; fi\n'
        )
    lines.append('df -P -k . 2>/dev/null | while read -r a b c free rest; do echo "s $free"; done\n')
    # A ticket that ends while it is read makes tar complain, and no archive worse.
    return f'{look}set --\n{chosen}{"".join(lines)}echo\n[ $# -eq 0 ] || tar -cf - "$@" 2>/dev/null || :\necho {ALL}\n'
