from pathlib import Path

import pytest
import torch

from focalaudio.metrics.neighbors import EmbeddingIndex


@pytest.fixture
def index():
    torch.manual_seed(0)
    paths = [Path(f"{number}.wav") for number in range(20)]
    return EmbeddingIndex(torch.randn(20, 6), ["dog", "cat"] * 10, paths)


def test_a_known_clip_is_its_own_nearest(index):
    for row, (label, path) in enumerate(
        zip(index.labels, index.paths, strict=True)
    ):
        (found, distance), *_ = index.find(index.embeddings[row], label, 3)
        assert found == path
        assert distance == pytest.approx(0, abs=1e-9)


def test_the_nearest_are_those_of_every_pair(index):
    query = torch.randn(6)
    found = index.find(query, "cat", 4)
    unit = query / query.norm()
    every = sorted(
        (1 - float(each @ unit / each.norm()), path)
        for each, label, path in zip(
            index.embeddings, index.labels, index.paths, strict=True
        )
        if label == "cat"
    )
    assert [path for path, _ in found] == [path for _, path in every[:4]]
    for (_, distance), (wanted, _) in zip(found, every, strict=False):
        assert distance == pytest.approx(wanted, abs=1e-5)


def test_the_length_of_an_embedding_changes_nothing(index):
    query = torch.randn(6)
    one, other = (index.find(k * query, "dog", 9) for k in (1, 100))
    assert [path for path, _ in one] == [path for path, _ in other]


@pytest.mark.parametrize(("label", "count"), [("cow", 3), ("dog", 0)])
def test_nothing_wanted_or_known_is_nothing(index, label, count):
    assert index.find(torch.randn(6), label, count) == []


def test_more_than_there_are_is_all(index):
    assert len(index.find(torch.randn(6), "dog", 99)) == 10


def test_lists_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="3 embeddings, 1 labels and 0 paths"):
        EmbeddingIndex(torch.eye(3), ["a"], [])
