"""What an annotator is started with."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from ..errors import ConfigError

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class AnnotatorSettings:
    """An annotator's settings. Raises ConfigError for what does not go together."""

    folder: Path
    """the photos"""
    project: Path
    """where the database and what can be made again lie"""
    database: str
    """URL of the database"""
    model: str = "nano"
    """name of the model, or its weights file"""
    device: str = "cpu"
    text_model: str = "nano_text"
    host: str = "127.0.0.1"
    port: int = 8017
    token: str = ""
    """what one has to know to log in; none is needed on loopback"""
    person: str = "me"
    """who works here where nobody logs in, which is possible on loopback alone"""
    allowed_origins: tuple[str, ...] = ()
    """pages of other origins that may ask, none by default"""
    allowed_hosts: tuple[str, ...] = ()
    """names by which the server may be called besides its own address; empty for any, where there is a token"""
    upload_bytes: int = 200 * MEGABYTE
    """of one uploaded file, at most"""
    requests_per_minute: int = 6000
    """of one client, at most"""
    cvat: bool = False
    """whether CVAT is answered, which sends no token"""
    ahead: int = 2
    """images after the one that is open whose embeddings are made in advance"""

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise ConfigError(f"{self.folder}: no such folder; name one with photos")
        if not self.is_loopback and not self.token:
            raise ConfigError(f"host {self.host}: others can reach it, so a token is needed")
        for origin in self.allowed_origins:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                raise ConfigError(f"origin {origin!r}: expected one such as https://tools.example")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
