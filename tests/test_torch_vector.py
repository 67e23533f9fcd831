"""codeword.torch: search, codebooks that learn, gradient estimators, residual stages, FSQ, LFQ."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import codeword as cw  # noqa: E402
from codeword.torch import FSQ, LFQ, ResidualVQ, SimVQ, VectorQuantize  # noqa: E402
from codeword.torch.gradient import passed  # noqa: E402
from codeword.torch.nearest import nearest, plain_nearest  # noqa: E402


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# Search


@pytest.mark.parametrize("d", [1, 3, 8, 17, 64])
@pytest.mark.parametrize("k", [1, 2, 7, 300])
def test_both_searches_name_the_same_codewords(d: int, k: int) -> None:
    x, codebook = torch.randn(500, d) + 100, torch.randn(k, d) + 100
    half = k // 2
    codebook[half : 2 * half] = codebook[:half].clone()
    native, plain = nearest(x, codebook), plain_nearest(x, codebook)
    assert torch.equal(native[0], plain[0])
    assert torch.allclose(native[1], plain[1], rtol=1e-6)
    assert not bool(((native[0] >= half) & (native[0] < 2 * half)).any())  # they repeat the first half


def test_the_search_is_that_of_the_quantizer() -> None:
    x, codebook = torch.randn(2000, 12), torch.randn(100, 12)
    vq = cw.VectorQuantizer.from_codebook(codebook.numpy())
    np.testing.assert_array_equal(nearest(x, codebook)[0].numpy(), vq.indices(vq.encode(x.numpy()))[:, 0])


def test_rows_in_blocks_are_searched_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    import codeword.torch.nearest as module

    x, codebook = torch.randn(501, 6), torch.randn(50, 6)
    whole = plain_nearest(x, codebook)
    monkeypatch.setattr(module, "_BLOCK_SCORES", 50 * 64)
    blocks = plain_nearest(x, codebook)
    assert all(torch.equal(a, b) for a, b in zip(whole, blocks, strict=True))


# Gradients


def turned(x: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The matrix that `rotation` stands for, written out: scale times rotation of x / |x| into q / |q|."""
    e, f = x / np.linalg.norm(x), q / np.linalg.norm(q)
    r = (e + f) / np.linalg.norm(e + f)
    return np.linalg.norm(q) / np.linalg.norm(x) * (np.eye(len(x)) - 2 * np.outer(r, r) + 2 * np.outer(f, e))


def test_rotation_turns_gradients_as_the_vectors_were_turned() -> None:
    x, q, g = (torch.randn(20, 5, dtype=torch.float64) for _ in range(3))
    x.requires_grad_()
    out = passed(x, q, "rotation", True)
    assert torch.equal(out, q)
    out.backward(g)
    for i in range(20):
        R = turned(x[i].detach().numpy(), q[i].numpy())
        np.testing.assert_allclose(R @ x[i].detach().numpy(), q[i].numpy(), atol=1e-12)
        np.testing.assert_allclose(x.grad[i].numpy(), R.T @ g[i].numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("x", "q"), [([0.0, 0.0], [1.0, 2.0]), ([1.0, 2.0], [0.0, 0.0]), ([1.0, -2.0], [-2.0, 4.0])], ids=["x", "q", "opposite"]
)
def test_rotation_without_a_plane_is_straight_through_or_zero(x: list[float], q: list[float]) -> None:
    a = torch.tensor([x], requires_grad=True)
    passed(a, torch.tensor([q]), "rotation", True).backward(torch.tensor([[3.0, 5.0]]))
    assert bool(torch.isfinite(a.grad).all())
    assert torch.equal(a.grad, torch.tensor([[3.0, 5.0]]))


def test_straight_through_gives_codewords_bit_for_bit_and_leaves_gradients_alone() -> None:
    x = (torch.randn(100, 4) * 1e6).requires_grad_()
    q, g = torch.randn(100, 4), torch.randn(100, 4)
    out = passed(x, q, "ste", True)
    assert torch.equal(out, q)
    out.backward(g)
    assert torch.equal(x.grad, g)


@pytest.mark.parametrize("grad", ["nsvq", "diveq"])
def test_substituted_errors_are_as_long_as_the_true_ones(grad: str) -> None:
    x, q = torch.randn(400, 8), torch.randn(400, 8)
    out = passed(x, q, grad, True)
    lengths = torch.linalg.vector_norm(q - x, dim=1)
    torch.testing.assert_close(torch.linalg.vector_norm(out - x, dim=1), lengths)
    apart = torch.linalg.vector_norm(out - q, dim=1) / lengths
    assert bool(apart.mean() > 1) if grad == "nsvq" else bool(apart.max() < 0.15)
    assert torch.equal(passed(x, q, grad, False), q)


@pytest.mark.parametrize("grad", ["nsvq", "diveq"])
def test_substituted_errors_teach_vector_and_codeword_their_distance(grad: str) -> None:
    x, q = torch.randn(6, 3, dtype=torch.float64, requires_grad=True), torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    out = passed(x, q, grad, True)
    direction = ((out - x) / torch.linalg.vector_norm(q - x, dim=1, keepdim=True)).detach()
    g = torch.randn(6, 3, dtype=torch.float64)
    out.backward(g)
    away = ((q - x) / torch.linalg.vector_norm(q - x, dim=1, keepdim=True)).detach()
    to_q = (g * direction).sum(1, keepdim=True) * away
    torch.testing.assert_close(q.grad, to_q)
    torch.testing.assert_close(x.grad, g - to_q)


# Codebooks that learn


def test_the_loss_is_the_weighted_mean_squared_distance_and_its_gradient() -> None:
    layer = VectorQuantize(5, 8, commitment=0.7, kmeans=False, revive=0.0)
    x = torch.randn(30, 5, requires_grad=True)
    words = layer.decode(layer.encode(x))
    expected = 0.7 * torch.nn.functional.mse_loss(x, words)
    (wanted,) = torch.autograd.grad(expected, x)
    loss = layer(x).loss
    loss.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(x.grad, wanted)


def test_codewords_are_moving_averages_of_their_vectors() -> None:
    layer = VectorQuantize(2, 2, decay=0.75, kmeans=False, revive=0.0)
    book = layer.codebook
    book.codewords.copy_(torch.tensor([[0.0, 0.0], [10.0, 0.0]]))
    book.sums.copy_(book.codewords)
    layer(torch.tensor([[1.0, 1.0], [10.0, 2.0], [10.0, 4.0], [13.0, 3.0]]))
    torch.testing.assert_close(book.counts, torch.tensor([0.75 + 0.25 * 0.5, 0.75 + 0.25 * 1.5]))
    first = torch.tensor([1.0, 1.0]) * 0.125 / 0.875
    second = (torch.tensor([10.0, 0.0]) * 0.75 + torch.tensor([11.0, 3.0]) * 0.375) / 1.125
    torch.testing.assert_close(book.codewords, torch.stack([first, second]))


def test_the_first_batch_starts_the_codebook_by_kmeans() -> None:
    centres = torch.randn(8, 6) * 10
    x = centres[torch.arange(400) % 8] + 0.01 * torch.randn(400, 6)
    layer = VectorQuantize(6, 8)
    out = layer(x)
    assert float(out.loss) < 1e-3
    assert abs(float(out.perplexity) - 8) < 1e-3
    later = VectorQuantize(6, 8).eval()
    before = later.codebook.codewords.clone()
    later(x)  # evaluation starts nothing
    assert torch.equal(later.codebook.codewords, before)


def test_a_start_with_fewer_vectors_than_codewords_is_filled_up_by_revival() -> None:
    layer = VectorQuantize(4, 64)
    for _ in range(60):
        layer(torch.randn(20, 4))
    layer.eval()
    assert float(layer(torch.randn(2000, 4)).usage) > 0.9


@pytest.mark.parametrize("learn", ["ema", "gradient"])
@pytest.mark.parametrize("cosine", [False, True])
def test_dead_codewords_are_revived_by_default(learn: str, cosine: bool) -> None:
    def used(**options: object) -> float:
        layer = VectorQuantize(4, 32, learn=learn, cosine=cosine, kmeans=False, **options)
        with torch.no_grad():  # all but one where no vector is
            layer.codebook.codewords.fill_(-0.5)
            layer.codebook.codewords[0] = 0.5
            if learn == "ema":
                layer.codebook.sums.copy_(layer.codebook.codewords)
        for _ in range(150):
            layer(torch.rand(200, 4))
        layer.eval()
        return float(layer(torch.rand(2000, 4)).usage)

    assert used() > 0.9
    assert used(revive=0.0) < 0.5


def test_usage_is_counted_over_batches_until_it_is_reset() -> None:
    layer = VectorQuantize(4, 8)
    for _ in range(3):
        layer(torch.randn(50, 4))
    assert layer.usage().n == 150
    layer.reset_usage()
    assert layer.usage().n == 0


def test_start_can_be_asked_for() -> None:
    x = torch.randn(500, 4)
    layer = VectorQuantize(4, 16, revive=0.0)
    layer.start(x)
    assert torch.equal(layer.codebook.started, torch.tensor(True))
    before = layer.codebook.codewords.clone()
    layer.train()
    layer(x)  # no second start: averages move little
    assert float((layer.codebook.codewords - before).abs().max()) < 1.0


# Residual stages


def test_the_gradient_of_residual_stages_arrives_once() -> None:
    layer = ResidualVQ(4, 8, m=5, grad="ste", commitment=0.0)
    x = torch.randn(60, 4, requires_grad=True)
    layer(x).quantized.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


def test_more_stages_leave_less() -> None:
    layer = ResidualVQ(6, 32, m=4)
    for _ in range(30):
        layer(torch.randn(400, 6))
    layer.eval()
    x = torch.randn(1000, 6)
    indices = layer.encode(x)
    errors = [float((layer.decode(indices[:, :m]) - x).square().mean()) for m in range(1, 5)]
    assert all(b < 0.75 * a for a, b in pairwise(errors))


def test_a_beam_finds_better_codes_with_the_same_codebooks() -> None:
    layer = ResidualVQ(6, 32, m=4)
    for _ in range(30):
        layer(torch.randn(400, 6))
    x = torch.randn(2000, 6).numpy()
    greedy, beam = layer.to_quantizer(), layer.to_quantizer(beam=8)
    assert isinstance(beam, cw.ResidualQuantizer)
    assert beam.distortion(x).mse < 0.97 * greedy.distortion(x).mse


def test_dropped_stages_do_not_learn_from_what_they_do_not_see() -> None:
    layer = ResidualVQ(4, 8, m=3, dropout=1.0)
    for _ in range(5):
        layer(torch.randn(300, 4))
    seen = [u.n for u in layer.usage()]
    assert seen[0] == 1500
    assert seen[0] > seen[1] > seen[2] > 0
    assert abs(seen[2] / 500 - 1) < 0.2


# FSQ, LFQ, SimVQ


@pytest.mark.parametrize("levels", [(2,), (3,), (8, 6, 5), (8, 5, 5, 5), (256, 2, 7)])
def test_every_level_of_fsq_is_reached_and_every_index_decodes_to_itself(levels: tuple[int, ...]) -> None:
    layer = FSQ(levels).eval()
    x = torch.linspace(-30, 30, 60_001).unsqueeze(1).expand(-1, len(levels))
    digits = layer.digits(layer.encode(x))
    for j, n in enumerate(levels):
        assert digits[:, j].unique().tolist() == list(range(n))
        assert bool((digits[1:, j] >= digits[:-1, j]).all())
    indices = torch.arange(min(layer.k, 5000))
    assert len(layer.decode(indices).unique(dim=0)) == len(indices)
    assert float(layer.decode(indices).abs().max()) <= 1


def test_odd_levels_of_fsq_are_those_of_the_paper() -> None:
    layer = FSQ((5, 5)).eval()
    x = torch.randn(100, 2)
    expected = torch.round(torch.tanh(x) * 2 * 1.001) / 2
    torch.testing.assert_close(layer(x).quantized, expected)


def test_entropies_of_lfq_are_those_of_the_listed_codebook() -> None:
    layer = LFQ(5, entropy=1.0, diversity=0.7, temperature=0.9, commitment=0.0)
    x = torch.randn(40, 5)
    codebook = layer.decode(torch.arange(32))
    p = torch.softmax(-torch.cdist(x, codebook).square() / 0.9, dim=1)
    each = torch.special.entr(p).sum(1).mean()
    together = torch.special.entr(p.mean(0)).sum()
    torch.testing.assert_close(layer(x).loss, each - 0.7 * together, rtol=1e-5, atol=1e-5)


def test_simvq_moves_all_codewords_with_one_map() -> None:
    layer = SimVQ(4, 32)
    x = torch.randn(300, 4) @ torch.randn(4, 4)
    layer.start(x)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    before = layer.codewords().detach().clone()
    x = 1.5 * x + 1
    losses = []
    for _ in range(60):
        loss = layer(x).loss
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]
    assert bool(((layer.codewords() - before).abs().sum(1) > 0).all())


def test_gradients_of_unit_vectors_are_those_of_the_division() -> None:
    from codeword.torch.codebook import unit

    x, g = torch.randn(20, 5), torch.randn(20, 5)
    x[3] = 0.0
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    unit(a).backward(g)
    torch.nn.functional.normalize(b, dim=-1).backward(g)
    rest = torch.arange(20) != 3
    torch.testing.assert_close(a.grad[rest], b.grad[rest])
    assert bool(torch.isfinite(a.grad).all())


def test_simvq_starts_from_the_first_batch() -> None:
    layer = SimVQ(6, 8)
    centres = torch.randn(8, 6) * 10
    out = layer(centres[torch.arange(400) % 8] + 0.01 * torch.randn(400, 6))
    assert float(out.loss.detach()) < 1e-3
    assert abs(float(out.perplexity) - 8) < 1e-3


def test_entropies_of_lfq_are_finite_where_every_sign_is_sure() -> None:
    layer = LFQ(7, temperature=0.01)
    x = (torch.randn(50, 7) + 100).requires_grad_()
    out = layer(x)
    (out.loss + out.quantized.sum()).backward()
    assert bool(torch.isfinite(x.grad).all())
