"""`HerokuOptions`: what a target with the strategy ``heroku`` may say."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from pushkit import Options
from pushkit_git import GitOptions

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class HerokuOptions(Options):
    """Options of the strategy ``heroku``."""

    app: str = Field(pattern=r"^[a-z][a-z0-9-]{1,28}[a-z0-9]$", description="The name of the app.")
    via: Literal["git", "build"] = Field(
        default="git", description="How it travels: a git push, or an archive for the builds API."
    )
    token: SecretStr | None = Field(
        default=None,
        description="An API token; by default HEROKU_API_KEY, or the password for the API's host in ~/.netrc.",
    )
    what: Literal["snapshot", "commit"] = Field(
        default="snapshot", description="By git: a commit made of the snapshot, or the one that the project is at."
    )
    dir: str = Field(default="", description="A directory of the snapshot that is pushed as if it were all of it.")
    branch: str = Field(default="main", description="By git: the branch of the app; Heroku builds main and master.")
    allow_dirty: bool = Field(
        default=False, description="By git: push the commit although files differ from it; they do not travel."
    )
    force: bool = Field(
        default=False, description="By git: replace the branch's history, if it is still what push looked at."
    )
    config: dict[str, SecretStr] = Field(
        default_factory=dict, description="Config vars that are set before the release, where they differ."
    )
    create: bool = Field(default=False, description="Make the app when it is not there.")
    region: str = Field(default="", description="The region of an app that is made: `us`, `eu`.")
    team: str = Field(default="", description="The team of an app that is made.")
    within: float = Field(
        default=1800, gt=0, allow_inf_nan=False, description="Seconds after which build and release are given up."
    )
    api_url: str = Field(
        default="https://api.heroku.com", pattern=r"^https?://[^/?#@\s]+$", description="Where the Platform API is."
    )
    git_url: str = Field(
        default="https://git.heroku.com",
        pattern=r"^https?://[^/?#@\s]+$",
        description="Where the apps' repositories are.",
    )
    tls: Literal["verified", "none"] = Field(
        default="verified", description="`none` allows addresses with `http://`, for a server of tests."
    )
    ca_file: str = Field(default="", description="Certificates of authorities to trust, instead of the system's.")

    @field_validator("token")
    @classmethod
    def _token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]+", value.get_secret_value()):
            raise ValueError("a token is one word; is there a line end in the file that it came from?")
        return value

    @field_validator("config")
    @classmethod
    def _config(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name in value:
            if not VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of a config var: letters, digits and _ make one")
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        for name in ("api_url", "git_url"):
            if getattr(self, name).startswith("http:") and self.tls != "none":
                raise ValueError(f'`{name}` is clear text; write https://, or tls = "none"')
        if (self.region or self.team) and not self.create:
            raise ValueError("`region` and `team` are of an app that is made: create = true")
        if self.via == "build":
            for name in ("what", "branch", "allow_dirty", "force"):
                if name in self.model_fields_set:
                    raise ValueError(f'`{name}` is for `via = "git"`')
        self.git("x")
        return self

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
            token=SecretStr(token),
            tls=self.tls,
            ca_file=self.ca_file,
            timeout=self.within,
        )
