"""Names that stand in for users' ids."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pseudonyms:
    """Names such as ``u-k7q2mzd3``: the same for an id wherever it stands in a report.

    They are keyed hashes (BLAKE2b), and the key is drawn anew: without it nobody can find which id a name belongs to by
    trying ids, as one could with a plain hash or a number in the order of ids. So a key goes into no report; one that
    is kept, since parts of a report are still to be made, is to be kept from its readers.

    Attributes
    ----------
    key : at most 64 bytes
    shown : whether ids stand as they are
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    shown: bool = False

    def names(self, ids: Iterable[int | str]) -> list[str]:
        """A name for each of `ids`."""
        return [str(id) if self.shown else self._name(str(id)) for id in ids]

    def _name(self, id: str) -> str:
        digest = hashlib.blake2b(id.encode("utf-8", "surrogatepass"), key=self.key, digest_size=5).digest()
        return "u-" + base64.b32encode(digest).decode().lower()
