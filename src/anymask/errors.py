"""The exceptions of anymask: each is one line that names the culprit, what was expected, and what to do.

AnymaskError
├── ImageError        an image that cannot be read or used
│   └── NoImageError       masks were asked for before an image was set
├── PromptError       points, boxes or masks that make no prompt
├── ModelError
│   ├── UnknownModelError   a name that is not in the registry
│   ├── CheckpointError     a weights file that does not fit the model, or is none
│   └── DownloadError       weights that could not be fetched or verified
├── DataError         labelled data that breaks its format
├── ConfigError       an option or a recipe with an unknown key or a wrong value
├── TrainingError     a training run that cannot go on
├── OutputError       a result that cannot be written where it should go
└── StoreError        a project's database that does not answer or cannot be written
    ├── MissingError       what was asked for is not in it
    ├── StaleError         somebody else changed the image meanwhile
    └── LockedError        somebody else is working on the image
"""


class AnymaskError(Exception):
    """Base of all errors that anymask raises on purpose; its text is fit to show to a person."""


class ImageError(AnymaskError, ValueError):
    """An image that cannot be read or used."""


class NoImageError(ImageError, RuntimeError):
    """Masks were asked for before an image was set."""


class PromptError(AnymaskError, ValueError):
    """Points, boxes or masks that make no prompt."""


class ModelError(AnymaskError):
    """Something about a model or its weights."""


class UnknownModelError(ModelError, KeyError):
    """A model name that is not in the registry."""

    def __str__(self) -> str:  # KeyError would show the repr, quotes and all
        return str(self.args[0]) if self.args else ""


class CheckpointError(ModelError, ValueError):
    """A weights file that does not fit the model, or is no weights file."""


class DownloadError(ModelError, OSError):
    """Weights that could not be fetched or did not verify."""


class DataError(AnymaskError, ValueError):
    """Labelled data that breaks its format."""


class ConfigError(AnymaskError, ValueError):
    """An option or a recipe with an unknown key or a wrong value."""


class TrainingError(AnymaskError):
    """A training run that cannot go on."""


class OutputError(AnymaskError, OSError):
    """A result that cannot be written where it should go."""


class StoreError(AnymaskError):
    """A project's database that does not answer or cannot be written."""


class MissingError(StoreError, LookupError):
    """An image, a mask, a label or a change that a project does not have."""


class StaleError(StoreError):
    """Somebody else changed the image since it was read."""


class LockedError(StoreError):
    """Somebody else is working on the image.

    Attributes:
        by: who.
        until: when the lease ends unless it is renewed, ISO 8601.
    """

    def __init__(self, message: str, by: str, until: str) -> None:
        super().__init__(message)
        self.by = by
        self.until = until
