"""What a secret may look like in a text: raw, escaped, percent-encoded, in base64; and texts without any of it.

Errors of the service, pages that are kept and every line that is printed pass here, as what comes from outside may echo a secret.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

REDACTED = "[redacted]"
_BEARER = re.compile(r"(Bearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_LONGEST_BASE64_TAIL = 2


def redact(text: str, secrets: Sequence[str]) -> str:
    """Return the text without the secrets: raw, percent-encoded, JSON-escaped, in base64 at any offset; and without bearer tokens."""
    for form in forms_of(tuple(secrets)):
        text = text.replace(form, REDACTED)
    return _BEARER.sub(rf"\1{REDACTED}", text)


@lru_cache(maxsize=64)
def forms_of(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return every form of these secrets, the longest first."""
    found: set[str] = set()
    for secret in secrets:
        if not secret:
            continue
        escaped = orjson.dumps(secret).decode()[1:-1]
        found |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), escaped, repr(secret)[1:-1]}
        found |= {form.replace("%", "%25") for form in (quote(secret, safe=""),) if "%" in form}
        found |= {re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quote(secret, safe=""))}
        found |= _base64_forms(secret.encode())
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


def _base64_forms(secret: bytes) -> set[str]:
    """Return what a secret looks like inside base64, after 0, 1 or 2 bytes of something else: only the characters it alone decides."""
    forms: set[str] = set()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret).decode()
        first = (offset * 8 + 5) // 6
        last = (offset + len(secret)) * 8 // 6
        inner = encoded[first:last]
        if len(inner) > _LONGEST_BASE64_TAIL * 3:
            forms |= {inner, inner.replace("+", "-").replace("/", "_"), quote(inner, safe="")}
    return forms
