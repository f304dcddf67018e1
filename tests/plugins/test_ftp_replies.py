"""What FTP servers answer, told in plain words, each with what to do about it."""

from __future__ import annotations

import pytest

from pushkit.files import RemoteDenied, RemoteError, RemoteExists, RemoteFull, RemoteLost, RemoteMissing
from pushkit_ftp.replies import Dropped, Reply, crowded, error_of


@pytest.mark.parametrize(
    ("code", "text", "kind", "words", "hint"),
    [
        (421, "Timeout.", Dropped, "ended the connection", "push again"),
        (425, "Failed to establish connection.", RemoteLost, "no data connection", "firewall"),
        (426, "Failure writing network stream.", RemoteLost, "was cut", "push again"),
        (450, "File busy.", RemoteError, "in use", "in a moment"),
        (451, "Local error.", RemoteError, "failed while it did it", "disk may be full"),
        (451, "No space left on device", RemoteFull, "no space left", "make room"),
        (452, "Error.", RemoteFull, "no space left", "quota"),
        (500, "Unknown command.", RemoteError, "does not know this command", ""),
        (522, "SSL connection failed: session reuse required", RemoteError, "another kind of TLS", "tls_max"),
        (530, "Login incorrect.", RemoteDenied, "not let in", "`user` and `password`"),
        (550, "Permission denied.", RemoteDenied, "permission denied", "`path`"),
        (550, "No such file or directory.", RemoteMissing, "no such file", ""),
        (550, "Create directory operation failed: File exists", RemoteExists, "something already", ""),
        # What vsftpd says where the parent may not be written to.
        (550, "Create directory operation failed.", RemoteError, "refuses", "`path`"),
        (552, "Quota exceeded.", RemoteFull, "no space left", "quota"),
        (553, "Could not create file.", RemoteDenied, "a file of that name", ".pushignore"),
    ],
)
def test_a_code_is_told_in_words_with_a_hint(
    code: int, text: str, kind: type[RemoteError], words: str, hint: str
) -> None:
    error = error_of(Reply(code, (text,)), "/www/file")
    assert type(error) is kind
    assert error.message.startswith("/www/file: ")
    assert words in error.message
    assert f"({code} {text})" in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("code", "text", "full"),
    [
        (421, "There are too many connected users, please try later.", True),
        (421, "There are too many connections from your internet address.", True),
        (530, "Sorry, the maximum number of clients (2) from your host are already connected.", True),
        (530, "Login incorrect.", False),
        (550, "There are too many files.", False),
    ],
)
def test_a_server_that_is_full_is_no_wrong_password(code: int, text: str, full: bool) -> None:
    assert crowded(Reply(code, (text,))) == full
