"""Compressed networks: what `compress` promises of any module, its files and its reports."""

from __future__ import annotations

import copy
import doctest
import importlib
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402

import codeword as cw  # noqa: E402
from codeword.errors import FormatError  # noqa: E402
from codeword.nn import (  # noqa: E402
    compress,
    load,
    moments,
    set_activations,
)
from codeword.nn.allocation import Candidate, allocate, code_bytes  # noqa: E402
from codeword.nn.codecs import METHODS, codec  # noqa: E402
from codeword.nn.feedback import Tiling  # noqa: E402
from codeword.nn.matrix import Importance, pack  # noqa: E402
from codeword.nn.modules import VQConv, VQConvTranspose, VQEmbedding, VQLinear  # noqa: E402
from nn_reader import read, weight  # noqa: E402

RNG = np.random.default_rng(0)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:.*weight_norm.*")
GOLDEN = Path(__file__).parent / "golden" / "nn"


def mlp(d: int = 64, hidden: int = 128) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(d, hidden), nn.GELU(), nn.Linear(hidden, d), nn.LayerNorm(d)).eval()


def batches(d: int = 64) -> list[Any]:
    generator = torch.Generator().manual_seed(1)
    mixing = torch.randn(d, d, generator=generator) / d**0.5
    return [torch.randn(64, d, generator=generator) @ mixing for _ in range(2)]


class Small(nn.Module):
    """One of everything: embedding tied to the output, convolutions, a shared input, parameters of its own."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(100, 64)
        self.conv = nn.Conv1d(64, 64, 3, padding=1, groups=2)
        self.up = nn.ConvTranspose1d(64, 48, 2, stride=2)
        self.q, self.k = nn.Linear(48, 64), nn.Linear(48, 64)
        self.mixing = nn.Parameter(torch.randn(64, 64))
        self.norm = torch.nn.utils.parametrizations.weight_norm(nn.Linear(64, 64))
        self.head = nn.Linear(64, 100, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: Any) -> Any:
        x = self.up(self.conv(self.embed(ids).transpose(1, 2))).transpose(1, 2)
        return self.head(self.norm((self.q(x) * torch.sigmoid(self.k(x))) @ self.mixing))


def token_batches() -> list[Any]:
    return [torch.randint(0, 100, (8, 16), generator=torch.Generator().manual_seed(i)) for i in range(2)]


def exact(model: Any) -> Any:
    """A copy that rounds no activations."""
    made = copy.deepcopy(model)
    set_activations(made, "float32")
    return made


@pytest.fixture(scope="module")
def small() -> Any:
    return compress(Small().eval(), 3.0, calibration=token_batches())


def test_the_model_is_never_changed() -> None:
    model = Small().train()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    kinds = [type(m) for m in model.modules()]
    compress(model, 2.0, calibration=token_batches())
    assert [type(m) for m in model.modules()] == kinds
    assert all(m.training for m in model.modules())
    assert not any(m._forward_hooks or p.grad is not None for m in model.modules() for p in m.parameters())
    for name, t in model.state_dict().items():
        assert torch.equal(t, before[name]), name


def test_every_weight_is_compressed_or_named_with_a_reason(small: Any) -> None:
    named = {part for layer in small.report.layers for part in layer.name.split(" = ")}
    assert named == {"embed", "head", "conv", "up", "q", "k", "norm"}
    assert small.report.skipped == [("mixing", "parameter of Small")]
    tiny = compress(nn.Sequential(nn.Linear(8, 8), nn.Linear(64, 64)), 2.0, layers={"1": None})
    assert dict(tiny.report.skipped) == {"0.weight": "64 weights, fewer than 2048", "1.weight": "as asked for"}


def test_layers_keep_their_kinds_and_compute_what_their_dense_weights_do(small: Any) -> None:
    model = small.model
    assert [type(getattr(model, n)) for n in ("embed", "conv", "up", "q")] == [VQEmbedding, VQConv, VQConvTranspose, VQLinear]
    assert model.embed.packed is model.head.packed
    dense = load_dense(small, Small())
    ids = token_batches()[0]
    torch.testing.assert_close(exact(model)(ids), dense(ids), rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert 0 < float((model(ids) - dense(ids)).norm() / dense(ids).norm()) < 0.05


def load_dense(made: Any, model: nn.Module) -> nn.Module:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "m.safetensors")
        made.save(path)
        return load(path, model, dense=True).eval()


CONVOLUTIONS = [
    nn.Conv1d(32, 48, 3, stride=2, padding=2, dilation=2, padding_mode="circular"),
    nn.Conv2d(24, 32, (3, 2), stride=(1, 2), padding=1, padding_mode="reflect"),
    nn.Conv2d(32, 64, 3, groups=4, bias=False, padding="same"),
    nn.Conv3d(16, 16, 2, padding=1),
    nn.ConvTranspose2d(32, 16, 3, stride=2, output_padding=1, padding=1),
    nn.ConvTranspose1d(32, 64, 4, groups=2),
]


@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=lambda layer: repr(layer)[:40])
def test_convolutions_of_every_kind_are_calibrated_and_convolve(layer: Any) -> None:
    x = torch.randn(2, layer.in_channels, *[9] * (layer.weight.dim() - 2), generator=torch.Generator().manual_seed(0))
    made = compress(nn.Sequential(layer), 4.0, calibration=[x])
    (report,) = made.report.layers
    assert report.calibrated and report.cosine > 0.98
    plain = copy.deepcopy(layer)
    plain.weight.data = made.model[0].weight
    plain.bias = made.model[0].bias
    torch.testing.assert_close(exact(made.model)(x), plain(x))
    with torch.no_grad():
        assert float((made.model(x) - plain(x)).norm()) < 0.02 * float(plain(x).norm())
        assert float(nn.functional.cosine_similarity(made.model(x).flatten(), layer(x).flatten(), dim=0)) > 0.98


def test_moments_of_convolutions_predict_their_output_errors() -> None:
    layer = nn.Conv2d(8, 32, 3, padding=1, stride=2, bias=False)
    x = torch.randn(4, 8, 10, 10, generator=torch.Generator().manual_seed(0)).cumsum(2)
    made = compress(nn.Sequential(layer), 2.0, calibration=[x])
    with torch.no_grad():
        difference = (exact(made.model)(x) - layer(x)).square().sum() / layer(x).square().sum()
    assert made.report.layers[0].error == pytest.approx(float(difference), rel=1e-3)


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 300), columns=st.integers(1, 90), method=st.sampled_from(METHODS), both=st.booleans())
def test_matrices_of_any_shape_come_back_near(rows: int, columns: int, method: str, both: bool) -> None:
    W = RNG.normal(size=(rows, columns)).astype("f4")
    packed = pack(W, 4.0, method=method, both=both)
    assert packed.codes.nbytes == code_bytes((rows, columns), method, 4.0)
    error = float(np.mean((packed.unpack() - W) ** 2) / np.mean(W**2))
    assert error < (0.02 if rows * columns > 500 else 0.5)


@pytest.mark.parametrize("method", METHODS)
def test_codecs_reach_the_distortion_that_they_state(method: str) -> None:
    # Rows of their own: at 6 bits a number beyond 4, of which few samples have any, is a third of the error.
    X = np.random.default_rng(0).normal(size=(64, 512)).astype("f4")
    for bits in codec(method, 2.0).rates:
        made = codec(method, bits)
        codes = made.encode(X)
        assert codes.shape == (64, made.code_size(512))
        error = float(np.mean((X - made.decode(codes, 512)) ** 2))
        assert error == pytest.approx(made.distortion, rel=0.15)


@pytest.mark.parametrize("method", METHODS)
def test_feedback_lowers_the_weighted_error(method: str) -> None:
    W = RNG.normal(size=(64, 96)).astype("f4")
    factor = RNG.normal(size=(96, 20)) @ RNG.normal(size=(20, 400))
    moments = Importance(factor @ factor.T / 400 + 0.1 * np.eye(96))
    blind = moments.error(pack(W, 2.0, method=method).unpack() - W)
    assert moments.error(pack(W, 2.0, method=method, importance=moments).unpack() - W) < 0.6 * blind


def test_rows_that_matter_have_smaller_errors() -> None:
    W = RNG.normal(size=(128, 64)).astype("f4")
    outputs = np.where(np.arange(128) < 16, 100.0, 1.0)
    weighted = Importance(outputs=outputs)
    aware, blind = pack(W, 2.0, importance=weighted).unpack() - W, pack(W, 2.0).unpack() - W
    assert weighted.error(aware) < 0.8 * weighted.error(blind)


@pytest.mark.parametrize("threads", [1, 3])
def test_same_seed_gives_same_bytes_for_any_threads(threads: int, keep_threads: None, tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    compress(mlp(), 2.0, seed=5).save(str(paths[0]))
    cw.set_threads(threads)
    compress(mlp(), 2.0, seed=5).save(str(paths[1]))
    compress(mlp(), 2.0, seed=6).save(str(paths[2]))
    a, b, c = (path.read_bytes() for path in paths)
    assert a == b != c


@pytest.mark.parametrize("calibrated", [False, True])
def test_reported_bits_are_those_of_the_file(calibrated: bool, tmp_path: Path) -> None:
    made = compress(Small(), 2.5, calibration=token_batches() if calibrated else None)
    path = tmp_path / "m.safetensors"
    written = made.save(str(path))
    weights = sum(p.numel() for p in Small().parameters())
    assert written == path.stat().st_size == made.report.after
    assert made.report.weights == weights
    assert made.report.bits == 8 * path.stat().st_size / weights
    assert made.report.before == 4 * weights


@pytest.mark.parametrize("most", [60_000, 90_000])
def test_a_budget_of_bytes_is_kept_and_used(most: int, tmp_path: Path) -> None:
    model = mlp(128, 512)
    made = compress(model, target={"bytes": most}, calibration=batches(128))
    assert 0.8 * most < made.save(str(tmp_path / "m")) <= most
    with pytest.raises(ValueError, match="expected at least"):
        compress(model, target={"bytes": 100})


def test_a_target_score_is_met_with_the_fewest_bits() -> None:
    model, (x, _) = mlp(), batches()

    def score(candidate: nn.Module) -> float:
        with torch.no_grad():
            return -float((candidate(x) - model(x)).square().mean())

    made = compress(model, target={"score": score, "max_drop": 0.02}, calibration=batches())
    assert score(made.model) >= -0.02
    assert 1 < made.recipe["bits"] < 6
    with pytest.raises(ValueError, match="no rate scores"):
        compress(model, target={"score": score, "max_drop": 0.0})


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300), st.floats(0, 1e6)), min_size=1, max_size=6), st.floats(1.0, 6.0)
)
def test_allocations_stay_within_the_budget(shapes: list[tuple[int, int, float]], bits: float) -> None:
    layers = {str(i): Candidate((rows, columns), cost) for i, (rows, columns, cost) in enumerate(shapes)}
    least = sum(code_bytes(layer.shape, "trellis", 1.0) for layer in layers.values())
    budget = max(least, sum(rows * columns for rows, columns, _ in shapes) * bits / 8)
    rates = allocate(layers, "trellis", budget, 1.0, 6.0)
    assert sum(code_bytes(layers[name].shape, "trellis", rate) for name, rate in rates.items()) <= budget


def test_bits_go_where_they_gain_most() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
    model[0].weight.data[32:] *= 1e-3
    model[1].weight.data[:, 32:] *= 1e-3
    rates = {r.name: r.bits for r in compress(model, 2.0, calibration=batches()).report.layers}
    even = [r.bits for r in compress(model, 2.0).report.layers]
    assert even[0] == even[1]
    assert max(rates.values()) > min(rates.values())


def test_patterns_name_bits_of_layers() -> None:
    made = compress(Small(), 2.0, layers={"[qk]": 4, "em*": 6, "conv": None})
    bits = {layer.name: round(layer.bits) for layer in made.report.layers}
    assert bits["q"] == bits["k"] == 4 and bits["embed = head"] == 6 and "conv" not in bits
    with pytest.raises(ValueError, match="no layer is called 'nothing'"):
        compress(Small(), 2.0, layers={"nothing": 2})
    with pytest.raises(ValueError, match=r"got 3\.3"):
        compress(Small(), 2.0, layers={"q": 3.3})


def test_modules_with_one_input_share_its_moments() -> None:
    model = Small()
    measured = moments.measure(model, {n: model.get_submodule(n) for n in ("q", "k")}, token_batches())
    assert list(measured._squares) == ["q"]
    first, second = measured.importance("q"), measured.importance("k")
    assert first is not None and second is not None
    assert np.array_equal(first.inputs, second.inputs) and not np.array_equal(first.outputs, second.outputs)


def test_weight_norms_and_parametrisations_are_compressed_as_they_act() -> None:
    torch.manual_seed(0)
    layers = [
        torch.nn.utils.parametrizations.weight_norm(nn.Linear(64, 64)),
        torch.nn.utils.weight_norm(nn.Linear(64, 64)),
    ]
    for layer in layers:
        with torch.no_grad():
            for p in layer.parameters():
                p.mul_(1.5)
        x = torch.randn(50, 64)
        made = compress(nn.Sequential(layer), 4.0, calibration=[x])
        assert type(made.model[0]) is VQLinear
        with torch.no_grad():
            cosine = nn.functional.cosine_similarity(made.model(x).flatten(), layer(x).flatten(), dim=0)
        assert float(cosine) > 0.99


def test_a_layer_that_calibration_does_not_reach_is_compressed_and_said_so() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(64, 64), nn.Linear(64, 64)

        def forward(self, x: Any) -> Any:
            return self.used(x)

    made = compress(Half(), 2.0, calibration=batches())
    assert {layer.name: layer.calibrated for layer in made.report.layers} == {"used": True, "unused": False}
    assert "(no inputs seen)" in made.report.to_markdown()


def test_copies_pickles_and_state_dicts_compute_the_same(small: Any) -> None:
    ids = token_batches()[0]
    wanted = small.model(ids)
    assert torch.equal(copy.deepcopy(small.model)(ids), wanted)
    assert torch.equal(pickle.loads(pickle.dumps(small.model))(ids), wanted)
    other = compress(Small(), 3.0, calibration=token_batches(), seed=0).model
    other.load_state_dict(small.model.state_dict())
    assert torch.equal(other(ids), wanted)


def test_derivatives_reach_inputs_biases_and_norms() -> None:
    made = exact(compress(mlp(), 3.0).model)
    dense = mlp()
    for i in (0, 2):
        dense[i].weight.data = made[i].weight
        dense[i].bias.data = made[i].bias.data
    xs = [batches()[0].clone().requires_grad_() for _ in range(2)]
    for model, x in zip((made, dense), xs, strict=True):
        model(x).square().sum().backward()
    torch.testing.assert_close(xs[0].grad, xs[1].grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(made[0].bias.grad, dense[0].bias.grad, rtol=1e-4, atol=1e-4)
    assert made[3].weight.grad is not None


@pytest.mark.parametrize("rows", [1, 7, 200])
@pytest.mark.parametrize("calibrated", [False, True])
def test_products_with_few_rows_are_those_with_the_dense_weight(rows: int, calibrated: bool) -> None:
    made = exact(compress(mlp(), 3.0, calibration=batches() if calibrated else None).model[0])
    x = torch.randn(2, rows, 64, requires_grad=True)
    y = made(x)
    wanted = nn.functional.linear(x, made.weight, made.bias)
    torch.testing.assert_close(y, wanted, rtol=1e-4, atol=1e-5)
    (slope,) = torch.autograd.grad(y.sum(), x)
    (by_dense,) = torch.autograd.grad(wanted.sum(), x)
    torch.testing.assert_close(slope, by_dense)


@pytest.mark.parametrize(("rows", "columns"), [(300, 520), (64, 36), (100, 1030)])
@pytest.mark.parametrize("method", ["trellis8", "trellis"])
@pytest.mark.parametrize("bits", [1.0, 1.5, 2.0, 3.0, 4.0])
@torch.no_grad()
def test_rounded_activations_cost_the_stated_error_for_any_batch(rows: int, columns: int, method: str, bits: float) -> None:
    torch.manual_seed(0)
    layer = compress(nn.Sequential(nn.Linear(columns, rows)), bits, method=method, layers={"*": bits}).model[0]
    x = torch.randn(33, columns)
    wanted = exact(layer)(x)
    whole = layer(x)
    spread = float((wanted - layer.bias).square().mean().sqrt())
    assert 0 < float((whole - wanted).square().mean().sqrt()) < 0.015 * spread
    assert float((whole - wanted).abs().max()) < 0.06 * spread
    for n in range(34):
        assert torch.equal(layer(x[:n]), whole[:n])


@pytest.mark.parametrize("stride", [1, 2])
@torch.no_grad()
def test_convolutions_with_few_patches_are_products(stride: int) -> None:
    torch.manual_seed(0)
    layer = compress(nn.Sequential(nn.Conv2d(24, 40, 3, padding=(1, 2), dilation=(2, 1), stride=stride)), 2.0).model[0]
    x = torch.randn(2, 24, 7, 6)
    assert layer._few_patches(x)
    wanted = exact(layer)(x)
    assert 0 < float((layer(x) - wanted).norm()) < 0.02 * float(wanted.norm())


@torch.no_grad()
def test_other_number_types_meet_the_dense_weight() -> None:
    layer = compress(nn.Sequential(nn.Linear(64, 64, bias=False)), 2.0).model[0]
    x = batches()[0]
    torch.testing.assert_close(layer(x.double()), nn.functional.linear(x.double(), layer.weight.double()))


def test_models_can_be_compiled_and_exported() -> None:
    made = compress(mlp(), 3.0).model
    x = batches()[0]
    compiled = torch.compile(made, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), made(x))
    exported = torch.export.export(made, (x,))
    torch.testing.assert_close(exported.module()(x), made(x))


@pytest.mark.parametrize("tied", [False, True])
def test_files_load_as_modules_and_as_plain_tensors(small: Any, tied: bool, tmp_path: Path) -> None:
    made = small if tied else compress(mlp(), 2.5, calibration=batches())
    path = str(tmp_path / "m.safetensors")
    made.save(path)
    with torch.device("meta"):
        skeleton = Small() if tied else mlp()
    loaded = load(path, skeleton).eval()
    x = token_batches()[0] if tied else batches()[0]
    assert torch.equal(loaded(x), made.model(x))
    state = load(path, dense=True)
    assert set(state) == set((Small() if tied else mlp()).state_dict()) - {
        "norm.parametrizations.weight.original0",
        "norm.parametrizations.weight.original1",
    } | ({"norm.weight"} if tied else set())
    name = "q" if tied else "0"
    assert torch.equal(state[f"{name}.weight"], made.model.get_submodule(name).weight)


@pytest.mark.parametrize("bits", [1.0, 1.5, 2.0, 2.5, 3.0, 4.0])
@pytest.mark.parametrize("method", ["trellis8", "trellis", "product", "scalar"])
def test_a_reader_in_plain_numpy_reads_the_same_weights(method: str, bits: float, tmp_path: Path) -> None:
    if bits not in codec(method, 2.0).rates:
        return
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(100, 150), nn.Embedding(130, 64), nn.Conv2d(16, 8, 5))
    path = tmp_path / "m.safetensors"
    made = compress(model, bits, method=method, layers={"*": bits})
    made.save(str(path))
    tensors, about = read(path)
    for i in range(3):
        ours = made.model[i].weight.numpy()
        np.testing.assert_allclose(weight(tensors, about, f"{i}.weight"), ours, rtol=1e-5, atol=1e-6 * np.abs(ours).max())


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path, other = tmp_path / "m.safetensors", tmp_path / "x.safetensors"
    compress(mlp(), 2.0).save(str(path))
    data = path.read_bytes()
    for damaged in (data[:-1], data[:100], b"", data[:8] + b"}" + data[9:], data.replace(b'"format\\":1', b'"format\\":9')):
        other.write_bytes(damaged)
        with pytest.raises(FormatError):
            load(str(other), dense=True)
    save_file({"a": torch.zeros(3)}, other)
    with pytest.raises(FormatError, match="expected a model"):
        load(str(other), dense=True)
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    for name, value in {"0.weight.codes": torch.zeros(3, dtype=torch.uint8), "0.weight.row_bytes": None}.items():
        tensors = load_file(path)
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value
        save_file(tensors, other, metadata)
        with pytest.raises(FormatError, match=name):
            load(str(other), dense=True)


def test_a_model_that_does_not_fit_a_file_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "m.safetensors")
    compress(mlp(), 2.0).save(path)
    with pytest.raises(ValueError, match="has no layer '2'"):
        load(path, nn.Sequential(nn.Linear(64, 128)))
    with pytest.raises(ValueError, match="expected a module"):
        load(path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bits": 0.5}, "bits"),
        ({"bits": 9}, "bits"),
        ({"method": "magic"}, "method"),
        ({"seed": -1}, "seed"),
        ({"target": {"size": 3}}, "target"),
        ({"calibration": []}, "at least one batch"),
    ],
)
def test_wrong_arguments_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compress(mlp(), **wrong)


def test_weights_that_are_not_finite_are_refused() -> None:
    model = mlp()
    model[2].weight.data[3, 4] = float("nan")
    with pytest.raises(ValueError, match="the weight of 2 has NaN"):
        compress(model, 2.0)


def test_rows_beyond_an_embedding_are_refused() -> None:
    made = compress(nn.Sequential(nn.Embedding(100, 64)), 2.0).model
    with pytest.raises(IndexError, match="expected 0 to 99"):
        made(torch.tensor([100]))


def test_tilings_cover_every_matrix() -> None:
    for rows in (1, 2, 15, 16, 17, 127, 128, 129, 1000):
        for columns in (1, 3, 4, 5, 64):
            t = Tiling.of(rows, columns)
            assert t.bands * t.height >= rows > (t.bands - 1) * t.height
            assert t.blocks * t.tile >= columns and t.width >= 64


@pytest.mark.parametrize("module", ["allocation", "codecs", "compress", "feedback", "incoherence", "matrix"])
def test_examples_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"codeword.nn.{module}")).failed == 0


def golden_model() -> Any:
    return compress(Small(), 2.5, layers={"q": 1, "k": 3, "up": 4, "conv": 1.5})


def test_golden_models_load_for_ever(request: pytest.FixtureRequest) -> None:
    path, weights = GOLDEN / "model.safetensors", GOLDEN / "weights.npz"
    if request.config.getoption("--write-golden") and not path.exists():
        GOLDEN.mkdir(parents=True)
        golden_model().save(str(path))
        state = load(str(path), dense=True)
        np.savez_compressed(weights, **{name: state[f"{name}.weight"].numpy() for name in ("q", "k", "up", "conv", "embed")})
    state = load(str(path), dense=True)
    with np.load(weights) as kept:
        for name in kept:
            assert np.array_equal(state[f"{name}.weight"].numpy(), kept[name]), name
