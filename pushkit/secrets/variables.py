"""The environment variables that say what decrypts a project's secrets. What a push starts does not get them."""

from __future__ import annotations

KEY = "PUSH_AGE_KEY"
FILE = "PUSH_AGE_KEY_FILE"
COMMAND = "PUSH_AGE_KEY_COMMAND"
IDENTITY = (KEY, FILE, COMMAND)
