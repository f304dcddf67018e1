"""The names of the commands of ``push``. A target may bear none of them, whether the command is installed or not."""

from __future__ import annotations

COMMANDS = (
    "check",
    "codedeploy",
    "completion",
    "demo",
    "diff",
    "explain",
    "files",
    "hold",
    "init",
    "join",
    "log",
    "plan",
    "plugins",
    "push",
    "release",
    "report",
    "resume",
    "rollback",
    "schema",
    "secrets",
    "status",
    "switch",
    "targets",
    "hosts",
    "unlock",
)
