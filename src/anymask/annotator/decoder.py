"""The decoder for the browser, made in a process of its own while the annotator is at work already."""

from __future__ import annotations

import multiprocessing
from copy import deepcopy
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread

from torch import nn

from ..errors import AnymaskError
from ..export.browser import browser_decoder
from ..model.sam import Sam

NEEDED = ("onnx", "onnxscript")


class Decoder:
    """Makes the decoder of a model for the browser, or finds the one that was made before.

    PyTorch traces in one thread at a time and meanwhile lets no other thread compute, so that is done in a process of
    its own. It may be ended at any time: what it makes is there as a whole or not at all.

    Attributes:
        folder: where the decoder lies; None until it is there.
        problem: why there will be none, or "".
    """

    def __init__(self, sam: Sam) -> None:
        self.folder: Path | None = None
        self.problem = next((_missing(name) for name in NEEDED if not find_spec(name)), "")
        self._process: multiprocessing.process.BaseProcess | None = None
        self._thread = Thread(target=self._wait_for_answer, name="decoder", daemon=True)
        if not self.problem:
            context = multiprocessing.get_context("spawn")
            self._answer, theirs = context.Pipe(duplex=False)
            self._process = context.Process(target=_make, args=(_without_encoder(sam), theirs), daemon=True)
            self._process.start()
            theirs.close()
            self._thread.start()

    def wait(self) -> None:
        """Return when it is there, or there will be none."""
        if self._process is not None:
            self._thread.join()

    def close(self) -> None:
        """End making it."""
        if self._process is not None:
            self._process.terminate()
            self._thread.join()
            self._process.join()
            self._answer.close()

    def _wait_for_answer(self) -> None:
        try:
            folder, self.problem = self._answer.recv()
            self.folder = Path(folder) if folder else None
        except EOFError:
            self.problem = "the decoder could not be made; the server's log tells why"


def _missing(name: str) -> str:
    return f"{name} is not installed; pip install 'anymask[annotator]'"


def _make(sam: Sam, answer: Connection) -> None:
    """In the other process: tell the folder, or what is wrong."""
    try:
        answer.send((str(browser_decoder(sam)), ""))
    except AnymaskError as error:
        answer.send(("", str(error)))


def _without_encoder(sam: Sam) -> Sam:
    """What of a model is sent to the other process."""
    return deepcopy(sam, {id(sam.image_encoder): nn.Identity()})
