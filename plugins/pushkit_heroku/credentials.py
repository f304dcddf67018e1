"""The API token: of the Pushfile, of the environment, of netrc. It is read, and written nowhere."""

from __future__ import annotations

import netrc
import re
from pathlib import Path
from urllib.parse import urlsplit

from pushkit import Run, TargetError
from pushkit_heroku.options import HerokuOptions

VARIABLE = "HEROKU_API_KEY"
HINT = f'make one with `heroku authorizations:create`, and write token = "${{env:{VARIABLE}}}"'


def token(options: HerokuOptions, run: Run) -> str:
    """The token, hidden from now on. Raises `TargetError` when there is none."""
    found = options.token.reveal() if options.token else run.environment.get(VARIABLE, "").strip()
    found = found or of_netrc(options, run)
    if not found:
        raise TargetError("there is no token for Heroku", hint=HINT)
    run.hide("heroku token", found)
    if not re.fullmatch(r"[!-~]+", found):
        raise TargetError("the token for Heroku is not one word of plain letters", hint=HINT)
    return found


def of_netrc(options: HerokuOptions, run: Run) -> str:
    """The password for the API's host in the netrc of who pushes, empty when there is none."""
    named = run.environment.get("NETRC")
    file = Path(named) if named else Path(run.environment.get("HOME", "/nonexistent"), ".netrc")
    try:
        found = netrc.netrc(str(file)).authenticators(urlsplit(options.api_url).hostname or "")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise TargetError(f"{file} cannot be read: {why}", hint=HINT) from None
    except netrc.NetrcParseError as error:
        # Its message may quote a password.
        raise TargetError(f"{file} is not as netrc files are, in line {error.lineno}", hint="mend it") from None
    return (found[2] or "") if found else ""
