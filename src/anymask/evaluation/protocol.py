"""What a protocol is: it asks a segmenter about one labelled image after another, and sums up the answers (§7)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..dataset.sample import Object, Record
from ..journal import Row as Row
from ..predict.predictor import Prediction, SamPredictor
from ..settings import check_types
from ..task.prompts import Prompt

Deferred = Callable[[], list[Row]]
"""makes the rows of an image without the model; it is called in another process, so it must pickle"""


Baselines = Mapping[str, Callable[[], Any]]
"""what makes each baseline, by name"""


class Metric(NamedTuple):
    """A figure with its name, and the 95 % interval where one was estimated.

    A detail is kept in the files and left out of the printed table.
    """

    name: str
    value: float
    interval: tuple[float, float] | None = None
    detail: bool = False


class Segmenter(Protocol):
    """What answers prompts: a predictor with a model, or a baseline."""

    def set_image(self, image: NDArray[np.uint8], /) -> None:
        """Take the H×W×3 RGB image that the next prompts are about."""

    def predict_many(self, prompts: Sequence[Prompt], multimask_output: bool | None = None) -> list[Prediction]:
        """Masks of each object, in pixels of the image."""


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image as a protocol sees it.

    Attributes:
        name: unique in its data set.
        pixels: H×W×3 uint8 RGB.
        objects: what people marked in it.
        record: SA-1B's record of it, with what the data set adds.
    """

    name: str
    pixels: NDArray[np.uint8]
    objects: list[Object]
    record: Record


class EvaluationProtocol(ABC):
    """One experiment of the paper. The fields of a protocol, each a frozen dataclass, are its options."""

    name: ClassVar[str]
    """of the command"""
    baselines: ClassVar[Baselines] = {}
    """what can be asked in the place of a model, without one"""
    refines: ClassVar[bool] = True
    """whether a predictor that refines its masks can be asked"""

    def __post_init__(self) -> None:
        check_types(self)

    def subject(self, predictor: SamPredictor) -> Any:
        """What is asked where the model of a predictor is evaluated: here the predictor itself."""
        return predictor

    @abstractmethod
    def evaluate(self, subject: Any, image: LabelledImage) -> list[Row] | Deferred:
        """The figures of one image."""

    @abstractmethod
    def summarise(self, rows: Sequence[Row]) -> Iterator[Metric]:
        """The figures of the whole data set. Raises DataError where there are none."""
