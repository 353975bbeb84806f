"""Words as vectors: wordllama's 256-d token embeddings, which come inside its package."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import ModelError, PromptError

WIDTH = 256
"""width of a word's vector"""
LONGEST = 64
"""most words of a text"""


def check_text(text: object) -> str:
    """A text fit to be a prompt, without space around it. Raises PromptError for what is none."""
    if not isinstance(text, str):
        raise PromptError(f"text: expected words, got {type(text).__name__}")
    words = text.split()
    if not words:
        raise PromptError('text: is empty; name what to find, such as "dog"')
    if len(words) > LONGEST:
        raise PromptError(f"text: {len(words):,} words; expected a name or a short phrase, at most {LONGEST} words")
    if not any(letter.isascii() and letter.isalpha() for letter in text):
        raise PromptError(f"text {_shown(text)!r}: holds no Latin letter; the text encoders read English, name it so")
    return " ".join(words)


def word_vectors(texts: list[str]) -> tuple[Tensor, Tensor]:
    """The vectors of the words of N texts, N×T×256, and which are present, N×T.

    Case does not count. Raises PromptError for what is no text, and ModelError where wordllama is not installed.
    """
    tokenizer, table = _wordllama()
    ids = [found.ids for found in tokenizer.encode_batch([check_text(text).lower() for text in texts], False)]
    length = max(map(len, ids))
    vectors = np.zeros((len(ids), length, WIDTH), np.float32)
    present = np.zeros((len(ids), length), bool)
    for row, tokens in enumerate(ids):
        vectors[row, : len(tokens)], present[row, : len(tokens)] = table[tokens], True
    return torch.from_numpy(vectors), torch.from_numpy(present)


@lru_cache(maxsize=1)
def _wordllama() -> tuple[Any, NDArray[np.float32]]:
    """The tokenizer and its table of vectors, words×256."""
    try:
        import wordllama
    except ImportError:
        raise ModelError("text prompts need wordllama, which holds the words; pip install 'anymask[text]'") from None
    try:
        found = wordllama.WordLlama.load(dim=WIDTH, cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    except (OSError, ValueError) as error:
        raise ModelError(f"wordllama's files are missing or damaged ({error}); install it again") from None
    found.tokenizer.no_padding()
    return found.tokenizer, found.embedding


def _shown(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[:most] + "…"
