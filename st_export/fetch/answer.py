"""What a call gives back: a page's answer, or a binary in a sink."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from datetime import datetime

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A call's good answer: what `accept` made of it, the plain UTF-8, when it began to come, its bytes on the wire, the repeats."""

    value: T
    body: bytes
    received_at: datetime
    wire_bytes: int
    retries: int


@dataclass(frozen=True, slots=True)
class Download:
    """A binary that went into a sink: its content type, bytes, and the repeats."""

    content_type: str | None
    bytes: int
    retries: int


class Sink(Protocol):
    """Where a binary goes. Each attempt begins anew."""

    async def begin(self, content_type: str | None) -> None:
        """Forget what an earlier attempt wrote."""

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
