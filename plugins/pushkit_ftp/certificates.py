"""Whose certificate is trusted."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

from pushkit import TargetError
from pushkit_ftp.options import FtpOptions, parse_fingerprint


def context_for(options: FtpOptions, project: Path) -> ssl.SSLContext:
    """What a target asks of TLS. Relative paths start at ``project``. Raises `TargetError` for a bad ``ca_file``."""
    if options.tls == "none":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nobody is asked to vouch: to read who could takes its time
    path = project / options.ca_file.expanduser() if options.ca_file else None
    try:
        context = ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TargetError(f"{path}: no certificates can be read there ({why})", hint="check `ca_file`") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2 if options.tls_max == "1.2" else ssl.TLSVersion.TLSv1_3
    if options.fingerprint:
        # It is compared right after the handshake, before anything is said: see `check`.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def check(sock: ssl.SSLSocket, options: FtpOptions, where: str) -> None:
    """Raise `TargetError` unless the certificate is the one that the target asks for, where it asks for one."""
    if not options.fingerprint:
        return
    shown = sock.getpeercert(binary_form=True) or b""
    digest = hashlib.sha256(shown).digest()
    if digest != parse_fingerprint(options.fingerprint):
        raise TargetError(
            f"{where}: the server shows the certificate {digest.hex(':').upper()}, which is not the one of "
            "`fingerprint`; nothing was sent",
            hint="the server has a new one, or somebody is in between: ask its owner before you change `fingerprint`",
        )


def untrusted(error: ssl.SSLCertVerificationError, where: str) -> TargetError:
    """The error that says why a certificate is not trusted."""
    why = error.verify_message.rstrip(".")
    if "self-signed" in why or "unable to get" in why:
        hint = "`ca_file` says who vouches for it, `fingerprint` which certificate it must be"
    elif "mismatch" in why or "doesn't match" in why:
        hint = "`host` has to be the name that the certificate is for; a provider's documentation says which it is"
    else:
        hint = "the server's owner has to renew it; until then, `fingerprint` says which certificate it must be"
    return TargetError(f"{where}: the certificate is not to be trusted: {why}; nothing was sent", hint=hint)
