"""A spare: the tree of a release that is none any more, of which the next one is made. The script, as a value.

What it has as it lies in the live release stays where it is; a file that is as large there, as old, with the same mode
and owner, is taken for the same. A copy keeps the time of what it is a copy of, so that is so of whatever was not sent
since. What does not belong there goes, what it lacks is copied. Nothing is written into a file that was there: it may
have another name in a release that stays, or be open. That all files hold what they should the push finds out as
always, by their sha256; so a spare may be in any state.
"""

from __future__ import annotations

from shlex import quote

from pushkit.files.operation import Copy

#: Makes lines of what ends with NUL; what would end a line in a name becomes the byte 1.
LINES = "tr '\\000\\n' '\\n\\001'"
#: Prints what lies in a tree: of each path what two have in common that are one. No path holds two slashes in a row.
TELL = "-printf '%P//%y%m %s %T@ %U %G %l\\0'"
#: Reads the ``others``, and in the directory ``desk`` the ``records`` of a manifest and what lies ``there``, in the
#: source; and on its input what lies in the spare, up to a line that is its end. Makes lists of names, and prints how
#: many there are in all: in ``lacking`` what is to be copied, in ``gone`` what does not belong in the new tree, in
#: ``closed`` directories that their owner could not change, in such as ``mode-755`` those that are to have that one, as
#: long as they are filled. Fails where the end is missing, or a name has two lines.
COMPARE = """function name(path, file) {
if (index(path, "\\001")) odd = 1; count++; print "./" path >(desk "/list-" file) }
BEGIN {
while ((getline <others) > 0) other[$0]
records = desk "/records"
directories[""] = 755
while ((getline kind <records) > 0) {
getline path <records; getline detail <records; getline detail <records
if (substr(kind, 1, 1) == "d") directories[path] = "7" substr(kind, 3)
else if (!(path in other)) wanted[path] }
there = desk "/there"
while ((getline <there) > 0) same[$0] }
$0 == "///" { whole = 1; next }
{ at = index($0, "//"); path = substr($0, 1, at - 1) }
($0 in same) && (path in wanted) { delete wanted[path]; next }
substr($0, at + 2, 1) == "d" {
mode = substr($0, at + 3) % 1000
if (mode < 700) name(path, "closed")
if (path in directories) { if (mode != directories[path]) name(path, "mode-" directories[path]); next } }
{ name(path, "gone") }
END { for (path in wanted) name(path, "lacking"); print count + 0; exit odd || !whole }
"""


def catch_up(copy: Copy, others: str, desk: str) -> str:
    """The function ``caught``: the spare of ``copy`` takes the place of its directory, with all that is in that.

    It has what it had as it lies in the source, of all that the listing names but those in the file ``others``, one a
    line; what it lacks of that is named in the list `lacking`. It has nothing else. Where the function fails the
    directory is what it was. In any case the spare has gone beside it, like other things that nobody needs any more.
    ``desk`` is a directory for files.
    """
    assert copy.listing
    return f"""caught() {{
desk={quote(desk)} tree={quote(copy.directory)} stage={quote(copy.directory.rpartition("/")[0])}
mv -fT {quote(copy.spare)} "$stage/spare" || return
{{ tail -n +2 {quote(copy.listing.path)} | {LINES} >"$desk/records" &&
find {quote(copy.source)} {TELL} | {LINES} >"$desk/there"; }} &
{{ find "$stage/spare" {TELL} && printf '///\\0'; }} | {LINES} >"$desk/lies" || return
wait $! || return
count=$(awk -v others={others} -v desk="$desk" {quote(COMPARE)} "$desk/lies") || return
# On a full disk a list may have been cut off.
[ "$count" -eq "$(cat "$desk"/list-* | wc -l)" ] || return
for list in closed gone mode; do
case $list in closed) set -- chmod u+rwx;; gone) set -- rm -rf;; esac
for names in "$desk/list-$list"*; do
[ $list != mode ] || set -- chmod "${{names##*-}}"
[ ! -e "$names" ] || {ended('"$names"')} | (cd "$stage/spare" && xargs -0 "$@") || return
done
done
# There are file systems without hard links.
cp -alT "$tree" "$stage/spare" || cp -aT --remove-destination "$tree" "$stage/spare" || return
mv -fT "$tree" "$stage/sent" || return
mv -fT "$stage/spare" "$tree" || {{ mv -fT "$stage/sent" "$tree"; return 1; }}
}}
"""


def lacking(desk: str) -> str:
    """The list in the directory ``desk`` that names what is to be copied, quoted; there is none for nothing."""
    return quote(f"{desk}/list-lacking")


def ended(lines: str) -> str:
    """A command that prints the names in the file ``lines`` as `xargs -0` reads them."""
    return f"tr '\\n' '\\000' <{lines}"
