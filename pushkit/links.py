"""Where the symlinks of a tree lead: through the tree's own links, component by component, as the kernel goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter

from pushkit.model import Entry

#: How many links the kernel follows on the way to one file (path_resolution(7)).
MOST = 40

text_of = itemgetter(Entry._fields.index("link"))


def warnings(entries: Sequence[Entry]) -> Iterator[str]:
    """A warning for each symlink among ``entries`` that leads out of the project."""
    links = {entry.path: entry.link for entry in filter(text_of, entries)}
    for path, link in links.items():
        if leads_out(path, links):
            yield f"{path} is a link that leads out of the project: {link}"


def leads_out(path: str, links: Mapping[str, str]) -> bool:
    """Whether the symlink at ``path`` passes an absolute link or goes above the top of the tree.

    ``links`` are the texts of all symlinks of the tree, by path. What is missing counts as a directory: it may come
    to be. A link that leads in circles leads nowhere.
    """
    here = path.split("/")
    rest: list[str] = []
    followed = 0
    while True:
        link = links.get("/".join(here))
        if link is not None:
            followed += 1
            if followed > MOST:
                return False
            if link.startswith("/"):
                return True
            here.pop()
            rest += reversed(link.split("/"))
        while rest and rest[-1] in {"", ".", ".."}:
            if rest.pop() == "..":
                if not here:
                    return True
                here.pop()
        if not rest:
            return False
        here.append(rest.pop())
