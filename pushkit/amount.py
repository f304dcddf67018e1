"""How sizes are written for people."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def amount(size: float) -> str:
    """``size`` bytes in decimal units: ``999 B``, ``1.2 kB``, ``34 MB``."""
    unit = 0
    # 999.5 would be rounded to 1000.
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size /= 1000
        unit += 1
    digits = 1 if unit and size < 9.95 else 0
    return f"{size:.{digits}f} {_UNITS[unit]}"


def seconds(number: float) -> str:
    """``number`` seconds: ``1 second``, ``1.5 seconds``."""
    return f"{number:g} second" + ("" if number == 1 else "s")


def counted(number: int, noun: str) -> str:
    """``number`` and ``noun``, in the plural where it is one: ``1 file``, ``6,869 files``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
