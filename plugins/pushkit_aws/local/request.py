"""What a local deployment is asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from pushkit import UsageError
from pushkit_aws.appspec import Behavior

AGENT_STATE = Path("/opt/codedeploy-agent/deployment-root")
DEFAULT_GROUP = "default-local-deployment-group"


class Request(Struct, frozen=True):
    """The options of ``push codedeploy local``, valid and complete.

    ``location`` is the bundle, of the kind ``kind``: directory, tar, tgz or zip. ``root`` is the directory that is
    installed into, ``state`` where revisions and what is remembered of them lie. ``events`` are in order.
    """

    location: Path
    kind: str
    behavior: Behavior
    group: str
    group_name: str
    application: str
    events: tuple[str, ...]
    appspec: str
    root: Path
    state: Path

    @property
    def installs_elsewhere(self) -> bool:
        """Whether what is installed goes to a directory that stands for ``/``."""
        return self.root != Path("/")


def default_state(root: Path, environment: Mapping[str, str]) -> Path:
    """Where the state lies when nobody says: where codedeploy-agent's does if we may write there, else the user's own.

    What is installed into another root is another machine's, as it were: it has a state of its own.
    """
    if root == Path("/") and AGENT_STATE.is_dir() and os.access(AGENT_STATE, os.W_OK | os.X_OK):
        return AGENT_STATE
    home = environment.get("XDG_STATE_HOME", "")
    own = (Path(home) if os.path.isabs(home) else Path.home() / ".local/state") / "push" / "codedeploy"
    if root == Path("/"):
        return own / "deployment-root"
    from hashlib import sha256  # noqa: PLC0415

    return own / "roots" / sha256(os.fsencode(root)).hexdigest()[:16]


def group_of(text: str) -> str:
    """``text``, which becomes the name of a directory. Raises `UsageError` where it cannot."""
    if not text or "/" in text or "\0" in text or text.startswith((".", "deployment-instructions")):
        raise UsageError(f"{text!r} is no deployment group", hint="it becomes the name of a directory")
    return text
