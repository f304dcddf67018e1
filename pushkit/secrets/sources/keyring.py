"""The secret source ``keyring``: ``${keyring:SERVICE/USER}`` is a password of the desktop's keyring."""

from __future__ import annotations

from pushkit.errors import PluginError, SecretError
from pushkit.hookspecs import hookimpl
from pushkit.secrets.source import Lookup, SecretSource


@hookimpl
def pushkit_secret_source() -> SecretSource:
    """The function that asks the keyring."""
    return password


def password(argument: str, lookup: Lookup) -> str:
    """The password of ``SERVICE/USER``; the user is what stands behind the last slash.

    Raises `SecretError` when there is none or the keyring is locked, `PluginError` without the library keyring.
    """
    service, slash, user = argument.rpartition("/")
    if not slash or not service or not user:
        raise SecretError(f"${{keyring:{argument}}} names no user", hint="write ${keyring:SERVICE/USER}")
    try:
        import keyring  # noqa: PLC0415  (an extra)
        from keyring.errors import KeyringError  # noqa: PLC0415
    except ImportError as error:
        raise PluginError(
            "the secret source keyring needs the library keyring, which is not installed",
            hint="pip install 'pushkit[keyring]'",
        ) from error
    try:
        found = lookup.once(("keyring", argument), lambda: keyring.get_password(service, user))
    except KeyringError as error:
        raise SecretError(
            f"the keyring did not give the password of {user} for {service}: {type(error).__name__}",
            hint="is it unlocked, and is there one for this session? `keyring diagnose` says which is used",
        ) from None
    if found is None:
        raise SecretError(f"the keyring has no password of {user} for {service}", hint=f"keyring set {service} {user}")
    return found
