"""The live release of the layout `releases`: which it is, whether it is there, and what it holds."""

from __future__ import annotations

from pushkit import manifest
from pushkit.errors import PushRefused
from pushkit.files.place import CURRENT, RELEASES, STATE
from pushkit.files.survey import Survey
from pushkit.files.ticket import RELEASE_ID
from pushkit.model import Entry, Kind


def live_in(survey: Survey) -> str:
    """The id of the live release, empty before the first push. Refuses what this layout did not make."""
    found = survey.found.get(CURRENT)
    if found is None:
        return ""
    where = f"{survey.root}/{CURRENT}"
    if found.stat.kind is not Kind.SYMLINK:
        raise PushRefused(
            f"{where} is a {found.stat.kind or 'special file'}, not a symlink to a release; nothing was sent",
            hint=f"move it away (mv {where} {where}.before), or push to another path",
        )
    release = found.link.removeprefix(f"{RELEASES}/")
    if release == found.link or not RELEASE_ID.fullmatch(release):
        raise PushRefused(
            f"{where} points to {found.link!r}, which is not a release of push; nothing was sent",
            hint=f"move it away (mv {where} {where}.before), or push to another path",
        )
    return release


def is_there(release: str, survey: Survey, warnings: list[str]) -> bool:
    """Whether a release lies where it should. One that does not is told of in ``warnings``."""
    if release and release not in survey.names(RELEASES):
        warnings.append(f"the live release {release} is gone from the target: every file is sent")
        return False
    return bool(release)


def recorded(release: str, survey: Survey, warnings: list[str]) -> bytes | None:
    """The manifest of a release, taken from ``survey``; None when the release or its manifest is not there."""
    if not is_there(release, survey, warnings):
        return None
    if STATE.manifest(release) in survey.found:
        return survey.take(release)
    warnings.append(f"the manifest of the live release {release} is missing: every file is sent")
    return None


def held(release: str, survey: Survey, warnings: list[str]) -> list[Entry]:
    """The entries of a release, none when it is not there, or its manifest is missing or damaged."""
    try:
        was = recorded(release, survey, warnings)
        return [] if was is None else manifest.decode(was)
    except ValueError as error:
        warnings.append(damaged(release, error))
    return []


def damaged(release: str, error: ValueError) -> str:
    """What is to be said of a manifest that cannot be read."""
    return f"the manifest of the live release {release} is damaged ({error}): every file is sent"
