"""The generated pages of the site, by their paths: `hook` hands them to mkdocs, and the tests read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import commands
import contract
import messages
import names
import options

TOP = Path(__file__).parents[2]


def index() -> str:
    """The front page of the reference."""
    return (
        "# Reference\n\nThese pages are made from the code each time the site is built, and the build fails where the "
        "code leaves something unsaid.\n\n"
        "- [Commands](commands.md) and their options, [exit codes](exit-codes.md), and [error "
        "messages](messages.md)\n"
        "- [Keys of the Pushfile](keys.md), [options of the strategies](strategies.md), [of the observers]"
        "(observers.md), and [sources](sources.md) of secrets and hosts, and stores\n"
        "- [A Pushfile with every option](pushfile-example.md)\n"
        "- [Events](events.md), [hooks](hooks.md) and [Python names](api.md), for plugins\n"
    )


def example() -> str:
    """``Pushfile.example`` as a page."""
    return (
        "# A Pushfile with every option\n\n`push init` writes your Pushfile from this one.\n\n```toml\n"
        + (TOP / "Pushfile.example").read_text()
        + "```\n"
    )


def changes() -> str:
    """The changelog, whose links begin at the top of the tree."""
    return (TOP / "CHANGELOG.md").read_text().replace("](docs/", "](")


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/index.md": index,
    "reference/commands.md": commands.page,
    "reference/exit-codes.md": contract.exit_codes,
    "reference/messages.md": messages.page,
    "reference/keys.md": options.keys,
    "reference/pushfile-example.md": example,
    "reference/strategies.md": options.strategies,
    "reference/observers.md": options.observers,
    "reference/sources.md": options.sources,
    "reference/hooks.md": contract.hooks,
    "reference/events.md": contract.event_page,
    "reference/api.md": names.page,
    "changelog.md": changes,
}
"""What makes each page. Raises `UndocumentedError` where the code does not say what something is for."""
