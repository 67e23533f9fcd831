"""codeword.torch: what every layer promises, whatever it quantizes with."""

from __future__ import annotations

import copy
import doctest
import importlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from codeword.metrics import usage  # noqa: E402
from codeword.torch import FSQ, LFQ, GroupedResidualVQ, ResidualVQ, SimVQ, VectorQuantize  # noqa: E402

Make = Callable[..., Any]
LAYERS: dict[str, Make] = {
    "vector": lambda **o: VectorQuantize(6, 16, **o),
    "vector, by gradient": lambda **o: VectorQuantize(6, 16, learn="gradient", **o),
    "vector, cosine": lambda **o: VectorQuantize(6, 16, cosine=True, **o),
    "vector, cosine, by gradient": lambda **o: VectorQuantize(6, 16, cosine=True, learn="gradient", **o),
    "residual": lambda **o: ResidualVQ(6, 8, m=3, **o),
    "residual, dropout": lambda **o: ResidualVQ(6, 8, m=3, dropout=0.5, **o),
    "grouped": lambda **o: GroupedResidualVQ(6, 8, m=2, groups=2, **o),
    "fsq": lambda **o: FSQ((8, 5, 2, 3, 4, 7), **o),
    "lfq": lambda **o: LFQ(6, **o),
    "simvq": lambda **o: SimVQ(6, 16, **o),
}
layers = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
every_gradient = pytest.mark.parametrize("grad", ["ste", "rotation", "nsvq", "diveq"])


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def rows(*shape: int) -> Any:
    return torch.randn(*shape, 6)


def trained(make: Make, **options: Any) -> Any:
    layer = make(**options)
    for _ in range(3):
        layer(rows(40, 5))
    return layer


@layers
def test_codes_of_the_exported_quantizer_are_the_indices_of_the_layer(make: Make) -> None:
    layer = trained(make).eval()
    x = rows(2000)
    out = layer(x)
    codec = layer.to_quantizer()
    X = (layer.bounded(x) if isinstance(layer, FSQ) else x).numpy()
    codes = codec.encode(X)
    np.testing.assert_array_equal(codec.decode(codes), out.quantized.numpy())
    parts = getattr(codec, "quantizers", None)
    if parts is None:
        numbers = codec.indices(codes).astype(np.int64)
    else:
        numbers = np.concatenate([q.indices(c) for q, c in codec._parts(codes)], axis=1).astype(np.int64)
    if isinstance(layer, FSQ):
        numbers = numbers @ layer.grid.radix.numpy()
    if isinstance(layer, LFQ):
        numbers = numbers @ layer.powers.numpy()
    np.testing.assert_array_equal(numbers.reshape(-1), out.indices.numpy().reshape(-1))


@layers
def test_encode_and_decode_agree_with_evaluation_and_change_nothing(make: Make) -> None:
    layer = trained(make)
    before = copy.deepcopy(layer.state_dict())
    x = rows(30, 4)
    indices = layer.encode(x)
    counted = layer.usage()
    out = layer.eval()(x)
    assert torch.equal(indices, out.indices)
    assert torch.equal(layer.decode(indices), out.quantized)
    assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())
    assert counted == trained_usage(make)


def trained_usage(make: Make) -> Any:
    torch.manual_seed(0)
    return trained(make).usage()


@layers
def test_feature_maps_give_what_their_vectors_give(make: Make) -> None:
    layer = trained(make).eval()
    maps = copy.deepcopy(layer)
    maps.dim = 1
    x = rows(2, 3, 5)
    flat, image = layer(x), maps(x.movedim(-1, 1))
    assert image.quantized.shape == (2, 6, 3, 5)
    assert torch.equal(image.quantized, flat.quantized.movedim(-1, 1))
    assert torch.equal(image.indices, flat.indices)
    assert torch.equal(maps.decode(image.indices), image.quantized)


@layers
@every_gradient
def test_gradients_reach_the_input_and_all_parameters(make: Make, grad: str) -> None:
    layer = make(grad=grad)
    x = rows(50, 4).requires_grad_()
    out = layer(x)
    (out.quantized.square().sum() + out.loss).backward()
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())
    assert bool((x.grad != 0).any(-1).float().mean() > 0.9)
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).any()), name


@layers
def test_perplexity_and_usage_are_those_of_the_indices(make: Make) -> None:
    layer = trained(make).eval()
    layer.reset_usage()
    out = layer(rows(200))
    columns = out.indices.reshape(200, -1).unbind(1)
    k = {FSQ: 6720, LFQ: 64}.get(type(layer)) or next(b.k for b in layer.modules() if hasattr(b, "k"))
    reports = layer.usage() if isinstance(layer.usage(), list) else [layer.usage()]
    for column, report, perplexity, share in zip(columns, reports, out.perplexity.reshape(-1), out.usage.reshape(-1), strict=True):
        expected = usage(column, k)
        assert report == expected
        np.testing.assert_array_equal(report.counts, expected.counts)
        assert abs(float(perplexity) / expected.perplexity - 1) < 1e-4
        assert abs(float(share) - (1 - len(expected.dead) / k)) < 1e-6


@layers
def test_vectors_that_are_masked_do_not_count(make: Make) -> None:
    one, other = trained(make), trained(make)
    other.load_state_dict(one.state_dict())
    x = rows(40, 5)
    mask = torch.rand(40, 5) < 0.7
    changed = torch.where(mask.unsqueeze(-1), x, 1e3)
    torch.manual_seed(1)
    a = one(x, mask)
    torch.manual_seed(1)
    b = other(changed, mask)
    assert torch.equal(a.indices[mask], b.indices[mask])
    assert torch.allclose(a.loss, b.loss, rtol=1e-5)
    assert torch.equal(a.perplexity, b.perplexity)
    assert all(torch.equal(v, other.state_dict()[name]) for name, v in one.state_dict().items())


@layers
def test_a_state_goes_through_a_file_and_training_goes_on_the_same(make: Make) -> None:
    layer = trained(make)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    twin = make()
    twin.load_state_dict(torch.load(file, weights_only=True))
    copied = copy.deepcopy(layer)
    x = rows(40, 5)
    outs = []
    for one in (layer, twin, copied):
        torch.manual_seed(7)
        outs.append(one(x))
    for other in outs[1:]:
        assert torch.equal(other.quantized, outs[0].quantized)
        assert torch.equal(other.loss, outs[0].loss)
    state = layer.state_dict()
    assert all(torch.equal(state[name], v) for one in (twin, copied) for name, v in one.state_dict().items())


@layers
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_come_back_in_their_own_and_leave_the_codebook_in_float32(make: Make, dtype: Any) -> None:
    layer = trained(make).to(dtype)
    assert all(v.dtype == torch.float32 for v in layer.state_dict().values() if v.is_floating_point())
    x = rows(30, 4).to(dtype).requires_grad_()
    out = layer(x)
    assert out.quantized.dtype == dtype
    assert out.loss.dtype == torch.float32
    (out.quantized.float().sum() + out.loss).backward()
    assert x.grad is not None
    assert x.grad.dtype == dtype


@layers
def test_autocast_changes_no_index(make: Make) -> None:
    layer = trained(make).eval()
    x = rows(300)
    plain = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = layer(x)
        assert torch.equal(layer.encode(x), plain.indices)
    assert torch.equal(cast.indices, plain.indices)
    assert torch.equal(cast.loss, plain.loss)


@layers
def test_a_batch_that_overflowed_spoils_nothing(make: Make) -> None:
    layer = trained(make)
    x = rows(40, 5)
    x[3, 2] = float("nan")
    x[4, 1] = float("inf")
    layer(x)
    assert all(bool(torch.isfinite(v).all()) for v in layer.state_dict().values())


@layers
@pytest.mark.parametrize("shape", [(6,), (0, 6), (1, 6), (2, 0, 6)])
def test_any_number_of_vectors_is_taken(make: Make, shape: tuple[int, ...]) -> None:
    layer = trained(make)
    out = layer(torch.randn(shape))
    assert out.quantized.shape == shape
    assert out.indices.shape[: len(shape) - 1] == shape[:-1]
    assert bool(torch.isfinite(out.loss))


@layers
@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (torch.zeros(3, 5), ValueError, ("x", "6", "(3, 5)")),
        (torch.zeros(3, 6, dtype=torch.int64), TypeError, ("x", "int64")),
        (np.zeros((3, 6), np.float32), TypeError, ("x", "float32")),
    ],
)
def test_what_cannot_be_quantized_is_named(make: Make, x: Any, error: type[Exception], words: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        make()(x)
    assert all(word in str(caught.value) for word in words)


@layers
def test_a_mask_of_another_shape_is_named(make: Make) -> None:
    with pytest.raises(ValueError, match="mask"):
        make()(rows(3, 4), torch.ones(3, dtype=torch.bool))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: VectorQuantize(4, 0), "k"),
        (lambda: VectorQuantize(4, 8, learn="sgd"), "learn"),
        (lambda: VectorQuantize(4, 8, grad="gumbel"), "grad"),
        (lambda: VectorQuantize(4, 8, decay=1.5), "decay"),
        (lambda: ResidualVQ(4, 8, m=0), "m"),
        (lambda: ResidualVQ(4, 8, m=2, dropout=2.0), "dropout"),
        (lambda: GroupedResidualVQ(6, 8, m=1, groups=4), "groups"),
        (lambda: FSQ((8, 1)), r"levels\[1\]"),
        (lambda: LFQ(40), "bits"),
        (lambda: ResidualVQ(4, 6, m=2).to_quantizer(beam=4), "beam"),
    ],
)
def test_a_bad_parameter_is_named(make: Make, name: str) -> None:
    with pytest.raises((ValueError, TypeError), match=name):
        make()


@layers
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, of its internals
def test_compiled_layers_train_as_plain_ones(make: Make) -> None:
    if isinstance(make(), ResidualVQ) and make().dropout:
        pytest.skip("draws from the generator of the compiler")
    plain = trained(make, **({} if make in (LAYERS["fsq"], LAYERS["lfq"], LAYERS["simvq"]) else {"revive": 0.0}))
    compiled = copy.deepcopy(plain)
    torch._dynamo.reset()
    run = torch.compile(compiled, fullgraph=True, backend="aot_eager")
    for _ in range(3):
        x = rows(40, 5)
        y = x.clone().requires_grad_()
        x.requires_grad_()
        a, b = plain(x), run(y)
        (a.quantized.square().sum() + a.loss).backward()
        (b.quantized.square().sum() + b.loss).backward()
        assert torch.equal(a.indices, b.indices)
        assert torch.allclose(a.quantized, b.quantized, atol=1e-6)
        assert torch.allclose(x.grad, y.grad, rtol=1e-4, atol=1e-6)
    for name, value in plain.state_dict().items():
        assert torch.allclose(value.float(), compiled.state_dict()[name].float(), atol=1e-5), name


@pytest.mark.parametrize("name", ["fsq", "gradient", "lfq", "nearest", "residual", "simvq", "vector"])
def test_examples_in_docstrings_run(name: str) -> None:
    tested = doctest.testmod(importlib.import_module(f"codeword.torch.{name}"))
    assert tested.attempted > 0
    assert tested.failed == 0
