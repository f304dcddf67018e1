"""Where the layouts keep what, and what `releases` looks at."""

from __future__ import annotations

from pushkit.errors import PushRefused
from pushkit.files.shared import Shared
from pushkit.files.survey import Look, State, Survey

STATE = State(".push")
#: The same of the layout `mirror`.
MIRROR = State(".htpush")
#: And of the layout `swap`.
SWAP = State(".htswap")
#: Each of them, by its layout.
STATES = {"releases": STATE, "mirror": MIRROR, "swap": SWAP}
CURRENT = "current"
RELEASES = "releases"
#: Where in a stage the release is built.
TREE = "tree"

#: For servers that read it; the modes keep the others out.
GUARD = b"""<IfModule mod_authz_core.c>
Require all denied
</IfModule>
<IfModule !mod_authz_core.c>
Deny from all
</IfModule>
"""


def look_for(shared: Shared) -> Look:
    """What the layout `releases` looks at."""
    looked = (STATE.incoming, STATE.manifests, STATE.spare, RELEASES, *others(STATE), *shared.looked)
    return Look(STATE, listed=(RELEASES,), looked=looked, live=CURRENT)


def others(own: State) -> tuple[str, ...]:
    """The files that are there where another layout's pushes came to a target; ``own`` is what this one keeps."""
    return tuple(state / "format" for state in STATES.values() if state != own)


def check_own(survey: Survey) -> None:
    """Refuse a target that another layout's pushes came to."""
    for layout, state in STATES.items():
        if state != survey.state and state / "format" in survey.found:
            raise PushRefused(
                f"{survey.root} holds pushes of the layout {layout}; nothing was sent",
                hint=f'set layout = "{layout}", or push to another path',
            )
