"""Every quantizer keeps every guarantee of the contract (`codeword.testing`)."""

import numpy as np
import pytest

import codeword as cw
from codeword import testing
from codeword.base import Quantizer

QUANTIZERS: list[Quantizer] = [
    cw.VectorQuantizer(1),
    cw.VectorQuantizer(16),
    cw.VectorQuantizer(300, seeding="random", max_iter=3),
    cw.VectorQuantizer(20, seeding="lbg", tol=0.01, seed=5),
    cw.ProductQuantizer(1, bits=1),
    cw.ProductQuantizer(3),
    cw.ProductQuantizer(5, bits=3, seed=2),
    cw.ProductQuantizer(12, bits=4),
    cw.ProductQuantizer(2, bits=9, max_iter=4),
    cw.ScalarQuantizer(),
    cw.ScalarQuantizer(1),
    cw.ScalarQuantizer(3, levels="lloyd-max"),
    cw.VectorQuantizer(16, half_life=100.0),
    cw.EntropyConstrainedQuantizer(40, entropy=3.0),
    cw.EntropyConstrainedQuantizer(9, lmbda=0.4, seeding="random", max_iter=2, seed=3),
    cw.GainShapeQuantizer(30),
    cw.GainShapeQuantizer(300, 0, seeding="random", max_iter=2),
    cw.GainShapeQuantizer(2, 8, seed=3),
    cw.TreeQuantizer(1, seed=4),
    cw.TreeQuantizer(6),
    cw.TreeQuantizer(9, growth="greedy", max_iter=3),
    cw.BinaryQuantizer(),
    cw.BinaryQuantizer(4),
    cw.LatticeQuantizer(),
    cw.LatticeQuantizer(1),
    cw.LatticeQuantizer(4),
    cw.TrellisQuantizer(),
    cw.TrellisQuantizer(1.0),
    cw.TrellisQuantizer(3.5, allocation="waterfill"),
    cw.ResidualQuantizer(1, bits=1, rounds=0),
    cw.ResidualQuantizer(4, bits=4),
    cw.ResidualQuantizer(3, beam=2, rounds=1, seed=3),
    cw.AdditiveQuantizer(5, bits=3, rounds=2),
    cw.AdditiveQuantizer(14, bits=2, beam=3, passes=2, rounds=1),
    cw.Stages([cw.ProductQuantizer(4, bits=4)]),
    cw.Stages([cw.VectorQuantizer(8), cw.ScalarQuantizer(2), cw.ResidualQuantizer(2, bits=3)]),
    cw.Stages([cw.VectorQuantizer(16), cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(2.0, allocation="waterfill"))]),
    cw.Pipeline([cw.KLT()], cw.Stages([cw.ResidualQuantizer(2, bits=4), cw.TrellisQuantizer()])),
    cw.Pipeline([], cw.ProductQuantizer(4, bits=4)),
    cw.Pipeline([cw.Center()], cw.VectorQuantizer(16)),
    cw.Pipeline([cw.Center(), cw.Rotation(seed=3)], cw.ProductQuantizer(4, bits=4)),
    cw.Pipeline([cw.KLT()], cw.ScalarQuantizer(2, levels="lloyd-max")),
    cw.Pipeline([cw.KLT(6), cw.Rotation()], cw.ProductQuantizer(3, bits=6)),
    cw.Pipeline([cw.Center(), cw.Rotation()], cw.LatticeQuantizer(3)),
    cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(2.0, allocation="waterfill")),
    cw.Pipeline([cw.OPQ(5, bits=4)], cw.ProductQuantizer(5, bits=4)),
    cw.MixtureQuantizer(4, cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(2.0, allocation="waterfill"))),
    cw.MixtureQuantizer(3, cw.ProductQuantizer(4, bits=3), effort="best", seed=1),
    cw.ScaledQuantizer(cw.TrellisQuantizer(2.0, allocation="waterfill", stages=2)),
    cw.Pipeline([cw.KLT()], cw.ScaledQuantizer(cw.ProductQuantizer(4, bits=3), effort="best")),
]


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=repr)
@pytest.mark.parametrize("check", testing.checks(), ids=lambda check: check.__name__)
def test_quantizer_keeps_the_guarantee(quantizer: Quantizer, check: testing.Check) -> None:
    if check not in testing.checks(type(quantizer)):
        assert type(quantizer).exempt[check.__name__], "an exemption has a reason"  # type: ignore[attr-defined]
        return
    check(quantizer, testing.sample_rows())


class Broken(cw.VectorQuantizer):
    """Decodes to something else than it should."""

    def _decode(self, codes_: np.ndarray) -> np.ndarray:
        return super()._decode(codes_)[:, ::-1].astype(np.float64)


def test_the_suite_finds_a_broken_quantizer() -> None:
    with pytest.raises(AssertionError, match="check_"):
        testing.check_quantizer(Broken(4))
