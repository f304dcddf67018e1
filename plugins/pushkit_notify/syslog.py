"""The observer ``syslog``: a line for each message, to the syslog of this machine or another one."""

from __future__ import annotations

import logging
import socket
from logging.handlers import SysLogHandler
from typing import Annotated, ClassVar

from msgspec import Meta

from pushkit import Observer, TargetError, hookimpl
from pushkit_notify.message import Message, What
from pushkit_notify.notifier import Notifier, NotifierOptions


class SyslogOptions(NotifierOptions):
    """The table of a ``syslog``."""

    address: Annotated[str, Meta(description="A socket of this machine, or `HOST:PORT` by UDP.")] = "/dev/log"


class Syslog(Notifier[SyslogOptions]):
    """Writes to the system's log."""

    name: ClassVar[str] = "syslog"
    Options = SyslogOptions

    def send(self, message: Message) -> None:
        """Write one line."""
        host, colon, port = self.options.address.rpartition(":")
        # An address of IPv6 stands in brackets.
        there = (host.strip("[]"), int(port)) if colon and port.isdecimal() else self.options.address
        failed: list[Exception] = []
        try:
            handler = SysLogHandler(there, SysLogHandler.LOG_USER, socket.SOCK_DGRAM)
        except OSError as error:
            raise TargetError(f"{self.options.address}: {error.strerror}") from None
        handler.ident = "push: "
        level = logging.ERROR if message.what is What.FAILED else logging.INFO
        record = logging.LogRecord("push", level, "", 0, self.text(message, inline=True), None, None)
        handler.handleError = lambda record: failed.append(ValueError("it was not taken"))  # type: ignore[method-assign]
        try:
            handler.emit(record)
        finally:
            handler.close()
        if failed:
            raise TargetError(f"{self.options.address} did not take it")


@hookimpl
def pushkit_observer() -> type[Observer[SyslogOptions]]:
    """The observer."""
    return Syslog
