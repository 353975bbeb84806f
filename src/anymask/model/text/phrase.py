"""The phrase encoder: the words of a text, weighed by what they do in it, as one unit vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..layers import MLPBlock


class PhraseEncoder(nn.Module):
    """Maps N texts of T word vectors, N×T×D, to unit vectors N×D.

    The vector of a text is a weighted mean of those of its words: in "a dog lying on the grass" the dog counts, the
    grass does not. A recurrent network reads the order of the words and gives the weights.
    """

    def __init__(self, dim: int, hidden: int = 64) -> None:
        super().__init__()
        self.read = nn.GRU(dim, hidden, batch_first=True, bidirectional=True)
        self.weigh = nn.Linear(2 * hidden, 1)
        self.residual = MLPBlock(dim, 2 * dim)
        for parameter in self.residual.lin2.parameters():  # the words' own likeness, at first
            nn.init.zeros_(parameter)

    def forward(self, words: Tensor, present: Tensor) -> Tensor:
        """`present` is N×T, false for what only fills up a ragged batch; each text has a word at least."""
        mean = (self.weights(words, present)[..., None] * words).sum(dim=1)
        mean = F.normalize(mean, dim=-1)
        return F.normalize(mean + self.residual(mean), dim=-1)

    def weights(self, words: Tensor, present: Tensor) -> Tensor:
        """How much each word counts, N×T, 1 in all for each text."""
        packed = nn.utils.rnn.pack_padded_sequence(
            words, present.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.read(packed)[0], batch_first=True, total_length=words.shape[1]
        )
        gates = torch.sigmoid(self.weigh(states)[..., 0]) * present
        return gates / gates.sum(dim=1, keepdim=True).clamp(min=1e-6)
