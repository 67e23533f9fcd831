"""Golden indexes: what an earlier release saved must open for ever and find the same vectors at the same distances.

`pytest tests/test_golden_index.py --write-golden` adds folders that are missing; it never changes one that is there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import codeword as cw
from codeword import testing

GOLDEN = Path(__file__).parent / "golden" / "indexes"
ROWS, MORE = testing.sample_rows(300), testing.sample_rows(1000)
INDEXES = {
    "product-l2-estimated": lambda: cw.Index(cw.ProductQuantizer(4, bits=4), factors=True).fit(ROWS).add(ROWS),
    "scalar-ip-estimated-ids": lambda: (
        cw.Index(cw.ScalarQuantizer(4), "ip", factors=True).fit(ROWS).add(ROWS, np.arange(300) * 7 + 5)
    ),
    "scalar-cosine-estimated": lambda: cw.Index(cw.ScalarQuantizer(2), "cosine", factors=True).fit(ROWS).add(ROWS).remove([3, 299]),
    "product-l2-calibrated": lambda: cw.Index(cw.ProductQuantizer(4, bits=4), factors=True).fit(MORE).calibrate(MORE).add(ROWS),
    "vector-l2-plain": lambda: cw.Index(cw.VectorQuantizer(20), factors=False).fit(ROWS).add(ROWS),
    "scalar-l2-lists-removed": lambda: (
        cw.Index(cw.ScalarQuantizer(4), factors=True, lists=8).fit(MORE).add(MORE[:900]).tune().add(MORE[900:]).remove([3, 299])
    ),
    "product-cosine-second-code": lambda: (
        cw.Index(cw.ProductQuantizer(4, bits=4), "cosine", refine=cw.ScalarQuantizer(4), factors=False).fit(ROWS).add(ROWS)
    ),
    "scalar-ip-vectors-kept": lambda: cw.Index(cw.ScalarQuantizer(2), "ip", refine="int8", factors=False).fit(ROWS).add(ROWS),
}


@pytest.fixture(scope="session", autouse=True)
def write_missing(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--write-golden"):
        return
    for name, make in INDEXES.items():
        folder = GOLDEN / name
        if not folder.exists():
            folder.mkdir(parents=True)
            index = make()
            index.save(folder / "index")
            found = index.search(ROWS[:8], 5)
            arrays = {"queries": ROWS[:8], "ids": found.ids, "distances": found.distances}
            if found.bars is not None:
                arrays["halves"] = found.bars.half
            for part, array in arrays.items():
                np.save(folder / f"{part}.npy", array)


@pytest.mark.parametrize("name", INDEXES)
def test_an_old_index_finds_what_it_did(name: str, isa: str) -> None:
    folder = GOLDEN / name
    queries, ids, distances = (np.load(folder / f"{part}.npy") for part in ("queries", "ids", "distances"))
    single = folder / "index.cw"  # what releases before folders wrote
    found = cw.open_index(single if single.exists() else folder / "index", verify="open").search(queries, ids.shape[1])
    assert np.array_equal(found.ids, ids)
    assert found.distances.tobytes() == distances.tobytes()
    halves = folder / "halves.npy"
    assert (found.bars is not None) == halves.exists()
    if found.bars is not None:
        np.testing.assert_allclose(found.bars.half, np.load(halves), rtol=1e-6)
