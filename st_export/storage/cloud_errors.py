"""What an object store's failures mean: the one table from obstore's exceptions to ours.

Of a foreign text only the service's own code and message are shown, or else its first line, without the query of any URL: an Azure
signature would stand there. This module leaves out what to do about it: `passing` failures are tried again by the store.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from obstore import exceptions as foreign

from st_export.commit.store import NO_SPACE, AlreadyExists, Changed, Missing
from st_export.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILURES = (foreign.BaseError, FileNotFoundError, NotImplementedError, ValueError)
"""All that obstore raises."""


class Passing(StoreError):
    """The store could not be reached or did not answer usefully: the same call may succeed a moment later."""


_CREDENTIALS = "set output.options, or the cloud's environment variables or profile; see configs/ for an example"

_TABLE: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), text, hint)
    for pattern, text, hint in (
        (
            r"NoSuchBucket|ContainerNotFound|The specified bucket does not exist|FilesystemNotFound",
            "there is no such bucket or container",
            "create it, or correct output.url",
        ),
        (
            r"169\.254\.169\.254|169\.254\.170\.2|/latest/api/token|/meta-data/iam|metadata\.google|MissingCredential|No credentials",
            "no credentials for the object store were found",
            _CREDENTIALS,
        ),
        (
            r"ExpiredToken|TokenRefreshRequired|RequestExpired|token (?:has|is) expired",
            "the credentials of the object store have expired",
            "renew them and run the same command again: it goes on from the last commit",
        ),
        (
            (
                r"InvalidAccessKeyId|SignatureDoesNotMatch|AuthenticationFailed|failed to authenticate|InvalidToken|invalid_grant"
                r"|status code: 401|Unauthenticated"
            ),
            "the object store refuses the credentials",
            _CREDENTIALS,
        ),
        (
            r"AuthorizationHeaderMalformed|PermanentRedirect|IllegalLocationConstraint|status code: 30[17]|redirect",
            "the bucket lies in another region or at another endpoint",
            "set output.options.region (and endpoint) to the bucket's own",
        ),
        (
            r"QuotaExceeded|InsufficientStorage|StorageFull|status code: 507|disk full|no space",
            NO_SPACE,
            "free some space and run the same command again: it goes on from the last commit",
        ),
        (
            r"AccessDenied|AuthorizationPermissionMismatch|AuthorizationFailure|status code: 403|PermissionDenied",
            "permission denied by the object store",
            "the credentials need to list, read, write and delete below output.url",
        ),
        (
            r"NotImplemented|NotSupported|status code: 501",
            "the object store lacks an operation that is needed",
            "use a store with conditional writes (If-None-Match, If-Match): the lock needs them",
        ),
    )
)

_UNREACHABLE: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), text, hint)
    for pattern, text, hint in (
        (r"UnknownIssuer|certificate", "the object store's certificate is not trusted", "point SSL_CERT_FILE at your CA"),
        (r"dns error|failed to lookup", "the object store's host is not known", "check output.options.endpoint and the network"),
        (r"builder error", "plain http is not allowed for this endpoint", "use https"),
        (
            r"error sending request|connect|timed? ?out",
            "the object store cannot be reached",
            "check output.options.endpoint, the network and the proxy",
        ),
    )
)

_LATER = "run the same command again: it goes on from the last commit"


@contextmanager
def border(place: str) -> Iterator[None]:
    """Turn what obstore raises inside into ours. Raises `Missing`, `AlreadyExists`, `Changed`, `Passing`, `StoreError`."""
    try:
        yield
    except FAILURES as error:
        raise translated(error, place) from None  # the foreign text may hold a signed URL


def translated(error: Exception, place: str) -> StoreError:
    """Return our error for one of obstore's at `place`."""
    whole = str(error)
    if isinstance(error, foreign.AlreadyExistsError):
        return AlreadyExists(f"{place} is there already")
    for pattern, text, hint in _TABLE:
        if pattern.search(whole):
            return StoreError(f"{place}: {text} ({_detail(whole)})", hint=hint)
    if isinstance(error, FileNotFoundError):
        return Missing(f"{place}: there is no such file")
    if isinstance(error, foreign.PreconditionError | foreign.NotModifiedError):
        return Changed(f"{place} was changed by somebody else")
    for pattern, text, hint in _UNREACHABLE:
        if pattern.search(whole):
            return Passing(f"{place}: {text} ({_detail(whole)})", hint=hint)
    return Passing(f"{place}: the object store failed ({_detail(whole)})", hint=_LATER)


def _detail(text: str) -> str:
    code, message = (re.search(f"<{name}>([^<\n]+)", text) for name in ("Code", "Message"))
    if code is not None:
        return f"{code[1]}: {message[1]}"[:300] if message is not None else code[1]
    line = text.strip().partition("\n")[0]
    return re.sub(r"\?[^\s\"')]*", "", line)[:300]
