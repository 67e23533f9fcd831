"""`quantize_embeddings` gives the bytes of sentence-transformers, and codes of quantizers; what it is not told it does not guess."""

from __future__ import annotations

import doctest
import warnings
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import embeddings
from codeword.embeddings import PRECISIONS, quantize_embeddings

X = np.random.default_rng(0).standard_normal((300, 48)).astype(np.float32)


def test_examples_run() -> None:
    assert doctest.testmod(embeddings).failed == 0


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("given", ["nothing", "ranges", "calibration"])
def test_bytes_are_those_of_sentence_transformers(precision: str, given: str) -> None:
    pytest.importorskip("sentence_transformers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers.util import quantize_embeddings as theirs
    options: dict[str, Any] = {
        "nothing": {},
        "ranges": {"ranges": np.stack([X.min(0) + 1, X.max(0) - 1])},
        "calibration": {"calibration_embeddings": np.concatenate([X, -X])},
    }[given]
    mine, other = quantize_embeddings(X, precision, **options), theirs(X, precision, **options)
    assert mine.dtype == other.dtype and np.array_equal(mine, other)


@pytest.mark.parametrize(("precision", "ends"), [("int8", (-128, 127)), ("uint8", (0, 255))])
def test_numbers_beyond_the_ranges_go_to_the_nearest_end(precision: str, ends: tuple[int, int]) -> None:
    far = np.stack([X.min(0) - 9, X.max(0) + 9])
    assert np.array_equal(quantize_embeddings(far, precision, calibration_embeddings=X), np.repeat(ends, 48).reshape(2, 48))


@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_a_query_gets_the_code_that_it_has_among_others(precision: str) -> None:
    whole = quantize_embeddings(X, precision)
    assert np.array_equal(quantize_embeddings(X[7:8], precision, calibration_embeddings=X), whole[7:8])
    assert np.array_equal(quantize_embeddings(X[7:8], precision, ranges=[X.min(0), X.max(0)]), whole[7:8])
    assert len(np.unique(whole)) > 200
    for few in ({}, {"calibration_embeddings": X[:99]}):
        with pytest.raises(ValueError, match="expected at least 100 to take ranges from"):
            quantize_embeddings(X[:1], precision, **few)


def test_a_column_with_one_value_has_one_code() -> None:
    constant = X.copy()
    constant[:, 3] = 5
    assert (quantize_embeddings(constant, "uint8")[:, 3] == 0).all() and (quantize_embeddings(constant, "int8")[:, 3] == -128).all()


def test_bits_are_signs_row_by_row_whatever_the_width() -> None:
    bits = quantize_embeddings(X[:, :45], "ubinary")
    assert bits.shape == (300, 6) and np.array_equal(np.unpackbits(bits, axis=1)[:, :45], X[:, :45] > 0)
    signed = quantize_embeddings(X[:, :45], "binary")
    assert signed.dtype == np.int8 and np.array_equal(signed.astype(int), bits.astype(int) - 128)


def test_quantizers_give_their_codes_and_are_fitted_to_calibration_embeddings_only() -> None:
    fresh = cw.ScalarQuantizer(4)
    with pytest.raises(cw.NotFittedError, match="calibration_embeddings"):
        quantize_embeddings(X, fresh)
    codes = quantize_embeddings(X[:5], fresh, calibration_embeddings=X)
    assert np.array_equal(codes, cw.ScalarQuantizer(4).fit(X).encode(X[:5])) and codes.shape == (5, 24)
    assert np.array_equal(quantize_embeddings(X[5:9], fresh), fresh.encode(X[5:9]))


@pytest.mark.parametrize(
    ("embeddings", "precision", "options", "error", "words"),
    [
        (X.astype(np.int8), "int8", {}, TypeError, "embeddings: .*quantized already"),
        (X, "int4", {}, ValueError, "precision: "),
        (np.where(X > 2, np.nan, X), "int8", {}, ValueError, "embeddings: "),
        (X[0], "binary", {}, ValueError, "embeddings: "),
        (X, "int8", {"ranges": [X.max(0), X.min(0)]}, ValueError, "ranges: "),
        (X, "int8", {"ranges": X[:3]}, ValueError, "ranges: "),
        (X, "int8", {"ranges": X[:2, :9]}, ValueError, "ranges: "),
        (X, "int8", {"calibration_embeddings": X[:, :9]}, ValueError, "calibration_embeddings: "),
        (X[:, :9], cw.ScalarQuantizer(4).fit(X), {}, ValueError, "embeddings: "),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    embeddings: Any, precision: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        quantize_embeddings(embeddings, precision, **options)
