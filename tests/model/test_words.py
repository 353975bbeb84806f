"""Words as vectors, and phrases as one: what is a text, and what in it counts."""

from __future__ import annotations

import sys

import pytest
import torch

from anymask.errors import ConfigError, ModelError, PromptError
from anymask.model.text import words
from anymask.model.text.phrase import PhraseEncoder
from anymask.model.text.vocabulary import GROUPS, vocabulary
from anymask.model.text.words import check_text, word_vectors

pytest.importorskip("wordllama")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; name what to find"),
        (" \n\t", "is empty"),
        (None, "expected words, got NoneType"),
        (["dog"], "expected words, got list"),
        ("word " * 10_000, "10,000 words; expected a name or a short phrase, at most 64"),
        ("собака", "'собака': holds no Latin letter; the text encoders read English"),
        ("犬", "'犬': holds no Latin letter"),
        ("🐶" * 100, "…': holds no Latin letter"),
        ("123", "holds no Latin letter"),
    ],
)
def test_what_is_no_text_is_told_in_a_line(text, said):
    with pytest.raises(PromptError) as told:
        check_text(text)
    assert said in str(told.value) and "\n" not in str(told.value) and len(str(told.value)) < 200


def test_space_around_and_between_does_not_count():
    assert check_text("  a\n red  car ") == "a red car"


def test_vectors_are_those_of_each_text_alone_and_case_does_not_count():
    texts = ["Dog", "a dog lying on the grass", "traffic light"]
    vectors, present = word_vectors(texts)
    assert vectors.shape == (*present.shape, 256) and present.any(dim=1).all()
    for row, text in enumerate(texts):
        alone, all_present = word_vectors([text.lower()])
        assert all_present.all() and torch.equal(vectors[row][present[row]], alone[0])
    assert not vectors[~present].any()


def test_words_that_mean_alike_are_near():
    def mean(text):
        return torch.nn.functional.normalize(word_vectors([text])[0][0].mean(dim=0), dim=0)

    assert mean("puppy") @ mean("dog") > mean("puppy") @ mean("bus") + 0.2


def test_a_phrase_does_not_depend_on_what_it_is_asked_with():
    torch.manual_seed(0)
    encoder = PhraseEncoder(256).eval()
    texts = ["dog", "the small brown dog under the kitchen table", "bus"]
    together = encoder(*word_vectors(texts))
    assert torch.allclose(together.norm(dim=1), torch.ones(3), atol=1e-5)
    for row, text in enumerate(texts):
        assert torch.allclose(encoder(*word_vectors([text]))[0], together[row], atol=1e-5)
    weights = encoder.weights(*word_vectors(texts))
    assert torch.allclose(weights.sum(dim=1), torch.ones(3), atol=1e-5)


def test_without_the_package_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "wordllama", None)
    words._wordllama.cache_clear()
    with pytest.raises(ModelError, match=r"pip install 'anymask\[text\]'"):
        word_vectors(["dog"])
    words._wordllama.cache_clear()


def test_nothing_is_fetched(monkeypatch):
    """The files come with the package: no socket is opened for them."""
    import socket

    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    words._wordllama.cache_clear()
    assert word_vectors(["dog"])[0].shape[-1] == 256


def test_each_label_has_its_own_name_first_and_coco_has_all_of_its_80(tmp_path):
    assert len(vocabulary(group="coco")) == 80
    known = vocabulary()
    assert sum(len(vocabulary(group=group)) for group in GROUPS) == len(known)
    assert all(names[0] == label.replace("-", " ") and len(names) > 1 for label, names in known.items())
    own = tmp_path / "own.toml"
    own.write_text('gizmo = ["thing"]\n[more]\n"left-hander" = []\n')
    assert vocabulary(own) == {"gizmo": ["gizmo", "thing"], "left-hander": ["left hander"]}
    own.write_text("gizmo = 3\n")
    with pytest.raises(ConfigError, match="gizmo: expected a list of other names, got 3"):
        vocabulary(own)
