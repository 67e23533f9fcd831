"""Golden models: what an earlier release saved must load for ever, encode to the same bytes and decode to the same rows.

`pytest tests/test_golden.py --write-golden` adds folders that are missing; it never changes one that is there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import codeword as cw
from codeword import registry, testing
from codeword.base import Quantizer

GOLDEN = Path(__file__).parent / "golden" / "models"
MODELS: dict[str, Quantizer] = {
    "vector-k300": cw.VectorQuantizer(300, max_iter=2),
    "vector-k5": cw.VectorQuantizer(5),
    "product-m5-bits3": cw.ProductQuantizer(5, bits=3),
    "product-m3-bits9": cw.ProductQuantizer(3, bits=9, max_iter=2),
    "residual-m3-bits5": cw.ResidualQuantizer(3, bits=5),
    "additive-m4-bits4": cw.AdditiveQuantizer(4, bits=4, rounds=2),
    "stages-vector-trellis": cw.Stages([cw.VectorQuantizer(8), cw.TrellisQuantizer(1.0)]),
    "scalar-uniform-8": cw.ScalarQuantizer(8),
    "scalar-lloyd-max-3": cw.ScalarQuantizer(3, levels="lloyd-max"),
    "scalar-by-dimension": cw.ScalarQuantizer([8, 7, 6, 5, 4, 3, 2, 1, 1, 2, 3, 4]),
    "ecvq-entropy3": cw.EntropyConstrainedQuantizer(24, entropy=3.0, max_iter=4),
    "gain-shape-k40": cw.GainShapeQuantizer(40, max_iter=4),
    "gain-shape-no-gain": cw.GainShapeQuantizer(5, 0),
    "tree-balanced-9": cw.TreeQuantizer(9),
    "tree-greedy-5": cw.TreeQuantizer(5, growth="greedy"),
    "binary-bits1": cw.BinaryQuantizer(),
    "binary-bits3": cw.BinaryQuantizer(3),
    "lattice-bits1": cw.LatticeQuantizer(1),
    "lattice-bits2": cw.LatticeQuantizer(2),
    "lattice-bits3": cw.LatticeQuantizer(3),
    "trellis-bits2": cw.TrellisQuantizer(2.0),
    "trellis-bits0.5": cw.TrellisQuantizer(0.5),
    "trellis-bits2.5": cw.TrellisQuantizer(2.5),
    "trellis-waterfill-bits2": cw.TrellisQuantizer(2.0, allocation="waterfill"),
    "trellis-waterfill-bits3": cw.TrellisQuantizer(3.0, allocation="waterfill"),
    "pipeline-center-rotation-product": cw.Pipeline([cw.Center(), cw.Rotation(seed=7)], cw.ProductQuantizer(4, bits=4)),
    "pipeline-klt-scalar": cw.Pipeline([cw.KLT(8)], cw.ScalarQuantizer(4)),
    "mixture-k4-klt-trellis": cw.MixtureQuantizer(4, cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(2.0, allocation="waterfill"))),
    "pipeline-klt-scaled-trellis": cw.Pipeline(
        [cw.KLT()], cw.ScaledQuantizer(cw.TrellisQuantizer(6.0, allocation="waterfill", stages=2))
    ),
    "scaled-product": cw.ScaledQuantizer(cw.ProductQuantizer(4, bits=4)),
    "pipeline-opq-product": cw.Pipeline([cw.OPQ(5, bits=4)], cw.ProductQuantizer(5, bits=4)),
    "pipeline-normalize-product": cw.Pipeline([cw.Normalize()], cw.ProductQuantizer(6, bits=2)),
}


@pytest.fixture(scope="session", autouse=True)
def write_missing(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--write-golden"):
        return
    rows = testing.sample_rows()
    for name, quantizer in MODELS.items():
        folder = GOLDEN / name
        if not folder.exists():
            folder.mkdir(parents=True)
            fitted = quantizer.clone().fit(rows)
            cw.save(fitted, folder / "model.cw")
            codes = fitted.encode(rows[:40])
            for part, array in {"rows": rows[:40], "codes": codes, "decoded": fitted.decode(codes)}.items():
                np.save(folder / f"{part}.npy", array)


@pytest.mark.parametrize("name", MODELS)
def test_an_old_model_encodes_and_decodes_as_it_did(name: str, isa: str) -> None:
    folder = GOLDEN / name
    model = cw.load(folder / "model.cw")
    rows, codes, decoded = (np.load(folder / f"{part}.npy") for part in ("rows", "codes", "decoded"))
    assert model.encode(rows).tobytes() == codes.tobytes()
    assert np.array_equal(model.decode(codes), decoded)


def test_every_registered_class_has_a_golden_model() -> None:
    ids = set()
    for folder in GOLDEN.iterdir():
        config = cw.load(folder / "model.cw").config()
        ids |= {config["id"], config.get("quantizer", config)["id"], *(t["id"] for t in config.get("transforms", []))}
    assert set(registry._MODULES) <= ids
