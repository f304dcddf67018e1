"""The observer ``email``: a mail by SMTP."""

from __future__ import annotations

import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from pushkit import Observer, Secret, TargetError, checks, hookimpl
from pushkit_notify.message import Message
from pushkit_notify.notifier import LIMIT, Notifier, NotifierOptions

PORTS = {"starttls": 587, "implicit": 465, "none": 25}


class EmailOptions(NotifierOptions):
    """The table of an ``email``."""

    host: Annotated[str, Meta(min_length=1, description="The mail server.")]
    port: Annotated[int, Meta(ge=0, le=65535, description="Its port; 587, or 465 with implicit TLS, when it is 0.")] = 0
    tls: Annotated[Literal["starttls", "implicit", "none"], Meta(description="How the connection is made safe.")] = (
        "starttls"
    )
    ca_file: Annotated[str, Meta(description="Trust the certificates of this file alone.")] = ""
    user: Annotated[str, Meta(description="Who logs in.")] = ""
    password: Annotated[Secret | None, Meta(description="The password of the user.")] = None
    sender: Annotated[str, Meta(min_length=3, description="Whom the mail is from.")]
    to: Annotated[list[str], Meta(min_length=1, description="Whom it is for.")]

    @checks("sender", "to")
    @classmethod
    def _address(cls, value: str | list[str]) -> str | list[str]:
        for each in [value] if isinstance(value, str) else value:
            if "@" not in each or not each.isprintable():
                raise ValueError("expected an address, name@example.com")
        return value

    @checks()
    def _login(self) -> None:
        if bool(self.user) != (self.password is not None):
            raise ValueError("`user` and `password` go together")


class Email(Notifier[EmailOptions]):
    """Sends a mail for each message."""

    name: ClassVar[str] = "email"
    Options = EmailOptions

    def send(self, message: Message) -> None:
        """Send one mail. Raises `TargetError`."""
        options = self.options
        try:
            with self._connected() as server:
                if options.user and options.password:
                    server.login(options.user, options.password.reveal())
                refused = server.send_message(self._mail(message))
        except smtplib.SMTPAuthenticationError:
            raise TargetError(f"{options.host} does not take the password of {options.user}") from None
        except smtplib.SMTPRecipientsRefused as error:
            refused = error.recipients
        except UnicodeEncodeError:
            raise TargetError(f"SMTP has no way to send the password of {options.user}: it is not ASCII") from None
        except smtplib.SMTPResponseException as error:
            raise TargetError(f"{options.host} answered {error.smtp_code}") from None
        except (OSError, smtplib.SMTPException) as error:
            raise TargetError(f"{options.host} could not be told: {type(error).__name__}") from None
        if refused:
            raise TargetError(f"{options.host} refuses {', '.join(refused)}")

    def _connected(self) -> smtplib.SMTP:
        options = self.options
        port = options.port or PORTS[options.tls]
        context = ssl.create_default_context(cafile=options.ca_file or None)
        # Else the library asks DNS for it, which may take longer than there is time.
        here = socket.gethostname()
        if options.tls == "implicit":
            return smtplib.SMTP_SSL(options.host, port, here, timeout=LIMIT, context=context)
        server = smtplib.SMTP(options.host, port, here, timeout=LIMIT)
        if options.tls == "starttls":
            # A server that does not offer it raises: nothing goes out in the clear that was to be encrypted.
            server.starttls(context=context)
        return server

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        text = self.text(message)
        # A header is one line: what follows a line's end would be another header.
        first = " ".join(text.splitlines()[:1])
        mail["Subject"] = "".join(char for char in first if char.isprintable())[:200]
        mail["From"] = self.options.sender
        mail["To"] = ", ".join(self.options.to)
        mail["Date"] = formatdate()
        mail["Message-ID"] = make_msgid(domain=self.options.sender.rpartition("@")[2].rstrip(">"))
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(f"{text}\n")
        return mail


@hookimpl
def pushkit_observer() -> type[Observer[EmailOptions]]:
    """The observer."""
    return Email
