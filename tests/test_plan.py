"""`codeword.plan` foresees the bytes of an index exactly, and its times from trying."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import codeword as cw

X = (np.random.default_rng(0).standard_normal((4000, 16)) * 0.9 ** np.arange(16)).astype(np.float32)


@pytest.mark.parametrize("lists", [None, 16])
@pytest.mark.parametrize("refine", [None, "float16", cw.ScalarQuantizer(8)], ids=repr)
def test_bytes_are_those_of_the_index(lists: int | None, refine: Any) -> None:
    made = cw.plan(4000, sample=X, quantizer=cw.ScalarQuantizer(4), lists=lists, refine=refine, seconds=0.1)
    last = refine.clone() if isinstance(refine, cw.ScalarQuantizer) else refine
    index = cw.Index(cw.ScalarQuantizer(4), lists=lists, refine=last).fit(X).add(X)
    assert made.bytes_per_vector == index.code_size and made.lists == (lists or 1)
    assert made.nbytes == pytest.approx(index.stats()["nbytes"] + index.model_bytes, rel=0.03)


def test_more_vectors_take_longer() -> None:
    few, many = (cw.plan(n, 16, quantizer=cw.ScalarQuantizer(4).fit(X), lists=None, seconds=0.1) for n in (10**5, 10**8))
    assert few.fit_seconds < few.build_seconds < many.build_seconds / 10
    assert many.queries_per_second < few.queries_per_second / 20
    assert few.effort == few.lists == 1


def test_lists_are_looked_into_as_recall_needs() -> None:
    efforts = [cw.plan(10**6, sample=X, quantizer=cw.ScalarQuantizer(4), recall=r, seconds=0.1).effort for r in (0.5, 0.95, 0.99)]
    assert efforts == sorted(efforts) and 1 <= efforts[0] < efforts[2] <= 2048


def test_a_plan_prints_and_is_json() -> None:
    made = cw.plan(10**6, 16, quantizer=cw.ScalarQuantizer(4), seconds=0.1)
    assert "1,000,000 of 16 dimensions" in str(made) and "of 2048 lists" in str(made)
    assert json.loads(json.dumps(made.as_dict()))["bytes_per_vector"] == 8


def test_bad_arguments_are_refused_by_name() -> None:
    for options, words in (({"n": 0, "d": 3}, "n: "), ({"n": 10}, "d: "), ({"n": 10, "d": 0}, "d: ")):
        with pytest.raises(ValueError, match=words):
            cw.plan(**options)
