"""`HerokuOptions`: what a target with the strategy ``heroku`` may say."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta, field

from pushkit import Options, Secret, checks
from pushkit_git import GitOptions

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class HerokuOptions(Options):
    """Options of the strategy ``heroku``."""

    app: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{1,28}[a-z0-9]$", description="The name of the app.")]
    via: Annotated[
        Literal["git", "build"], Meta(description="How it travels: a git push, or an archive for the builds API.")
    ] = "git"
    token: Annotated[
        Secret | None,
        Meta(description="An API token; by default HEROKU_API_KEY, or the password for the API's host in ~/.netrc."),
    ] = None
    what: Annotated[
        Literal["snapshot", "commit"],
        Meta(description="By git: a commit made of the snapshot, or the one that the project is at."),
    ] = "snapshot"
    dir: Annotated[str, Meta(description="A directory of the snapshot that is pushed as if it were all of it.")] = ""
    branch: Annotated[str, Meta(description="By git: the branch of the app; Heroku builds main and master.")] = "main"
    allow_dirty: Annotated[
        bool, Meta(description="By git: push the commit although files differ from it; they do not travel.")
    ] = False
    force: Annotated[
        bool, Meta(description="By git: replace the branch's history, if it is still what push looked at.")
    ] = False
    config: Annotated[
        dict[str, Secret], Meta(description="Config vars that are set before the release, where they differ.")
    ] = field(default_factory=dict)
    create: Annotated[bool, Meta(description="Make the app when it is not there.")] = False
    region: Annotated[str, Meta(description="The region of an app that is made: `us`, `eu`.")] = ""
    team: Annotated[str, Meta(description="The team of an app that is made.")] = ""
    within: Annotated[float, Meta(gt=0, description="Seconds after which build and release are given up.")] = 1800
    api_url: Annotated[str, Meta(pattern=r"^https?://[^/?#@\s]+$", description="Where the Platform API is.")] = (
        "https://api.heroku.com"
    )
    git_url: Annotated[str, Meta(pattern=r"^https?://[^/?#@\s]+$", description="Where the apps' repositories are.")] = (
        "https://git.heroku.com"
    )
    tls: Annotated[
        Literal["verified", "none"], Meta(description="`none` allows addresses with `http://`, for a server of tests.")
    ] = "verified"
    ca_file: Annotated[str, Meta(description="Certificates of authorities to trust, instead of the system's.")] = ""

    @checks("token")
    @classmethod
    def _token(cls, value: Secret | None) -> Secret | None:
        if value is not None and not re.fullmatch(r"[!-~]+", value.reveal()):
            raise ValueError("a token is one word; is there a line end in the file that it came from?")
        return value

    @checks("config")
    @classmethod
    def _config(cls, value: dict[str, Secret]) -> dict[str, Secret]:
        for name in value:
            if not VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of a config var: letters, digits and _ make one")
        return value

    @checks()
    def _together(self) -> None:
        for name in ("api_url", "git_url"):
            if getattr(self, name).startswith("http:") and self.tls != "none":
                raise ValueError(f'`{name}` is clear text; write https://, or tls = "none"')
        if (self.region or self.team) and not self.create:
            raise ValueError("`region` and `team` are of an app that is made: create = true")
        if self.via == "build":
            for name in ("what", "branch", "allow_dirty", "force"):
                if self.is_set(name):
                    raise ValueError(f'`{name}` is for `via = "git"`')
        self.git("x")

    def git(self, token: str) -> GitOptions:
        """The options of the strategy ``git`` that pushes to the app."""
        return GitOptions(
            remote=f"{self.git_url}/{self.app}.git",
            branch=self.branch,
            what=self.what,
            dir=self.dir,
            allow_dirty=self.allow_dirty,
            force=self.force,
            user="heroku",
            token=Secret(token),
            tls=self.tls,
            ca_file=self.ca_file,
            timeout=self.within,
        )
