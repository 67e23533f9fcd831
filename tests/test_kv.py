"""Caches of keys and values as codes: what `KVCodec` promises, and the cache of a transformers model that is made of it."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from codeword.nn import KVCodec, kv  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def tokens(n: int, heads: int = 2, batch: int = 2, d: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Keys with a mean and channels of unequal size, and values."""
    rng = np.random.default_rng(0)
    size = np.exp(rng.normal(size=(1, heads, 1, d)))
    keys = (rng.normal(size=(batch, heads, n, d)) + 3 * rng.normal(size=(1, heads, 1, d))) * size
    return keys.astype("f4"), rng.normal(size=(batch, heads, n, d)).astype("f4")


def filled(n: int, step: int, **options: Any) -> KVCodec:
    keys, values = tokens(n)
    made = KVCodec(2, 2, 64, **options)
    for i in range(0, n, step):
        made.append(keys[:, :, i : i + step], values[:, :, i : i + step])
    return made


@pytest.mark.parametrize("step", [1, 7, 150])
@pytest.mark.parametrize("recent", [0, 20])
def test_what_is_remembered_does_not_depend_on_how_tokens_came(step: int, recent: int) -> None:
    whole, parts = (filled(150, s, recent=recent).expand() for s in (150, step))
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))


@pytest.mark.parametrize("method", ["trellis8", "trellis", "lattice", "scalar"])
def test_scores_and_mixtures_are_those_of_what_is_remembered(method: str) -> None:
    made = filled(100, 100, method=method)
    keys, values = made.expand()
    rng = np.random.default_rng(1)
    Q, W = rng.normal(size=(2, 2, 3, 64)).astype("f4"), rng.random((2, 2, 3, 100)).astype("f4")
    np.testing.assert_allclose(made.scores(Q), Q @ keys.swapaxes(2, 3), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(made.mix(W), W @ values, rtol=1e-4, atol=1e-3)


def test_recent_tokens_are_exact_and_older_ones_near() -> None:
    keys, values = tokens(200)
    made = filled(200, 9, recent=40, key_bits=3, value_bits=2)
    found = made.expand()
    for remembered, original, most in zip(found, (keys, values), (0.03, 0.09), strict=True):
        assert np.array_equal(remembered[:, :, -40:], original[:, :, -40:])
        spread = original - original.mean(axis=2, keepdims=True)
        assert float(np.sum((remembered - original)[:, :, :160] ** 2) / np.sum(spread[:, :, :160] ** 2)) < most


def test_the_mean_of_keys_costs_no_error() -> None:
    keys, values = tokens(200)
    errors = []
    for X in (keys, keys - keys.mean(axis=2, keepdims=True)):
        made = KVCodec(2, 2, 64)
        made.append(X, values)
        errors.append(float(np.sum((made.expand()[0] - X) ** 2)))
    assert errors[0] == pytest.approx(errors[1], rel=0.1)


def test_rates_are_counted() -> None:
    made = filled(320, 320, key_bits=3, value_bits=1, recent=0)
    assert made.bits == pytest.approx(2 + 16 / 64 + 32 / (2 * 2 * 320) * 2, rel=1e-6)
    assert made.nbytes == round(made.bits * 2 * 2 * 2 * 320 * 64 / 8)


def test_sequences_can_be_reordered_and_repeated() -> None:
    made = filled(100, 100)
    keys, values = made.expand()
    made.take([1, 1, 0])
    for found, before in zip(made.expand(), (keys, values), strict=True):
        assert np.array_equal(found, before[[1, 1, 0]])
    made.append(*(X[[1, 1, 0]] for X in tokens(40)))
    assert made.tokens == 140


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: KVCodec(1, 1, 16), "d"),
        (lambda: KVCodec(1, 1, 64, key_bits=2.2), "bits"),
        (lambda: KVCodec(1, 1, 64, method="no"), "method"),
        (lambda: KVCodec(1, 1, 64).append(np.zeros((1, 2, 3, 64)), np.zeros((1, 2, 3, 64))), "keys: expected shape"),
        (lambda: KVCodec(1, 1, 64).append(np.zeros((1, 1, 3, 64)), np.zeros((1, 1, 2, 64))), "values: expected as many"),
        (lambda: KVCodec(1, 1, 64).append(np.full((1, 1, 3, 64), np.nan), np.zeros((1, 1, 3, 64))), "keys: expected finite"),
        (lambda: KVCodec(1, 1, 64).mix(np.zeros((1, 1, 1, 5))), "weights"),
        (lambda: KVCodec(1, 1, 64).take([1]), "sequences"),
    ],
)
def test_wrong_arguments_are_named(wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrong()


def test_examples_run() -> None:
    assert doctest.testmod(kv).failed == 0


@pytest.fixture(scope="module")
def llama() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=100,
        hidden_size=128,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
    )
    return transformers.LlamaForCausalLM(config).eval()


def test_a_model_computes_from_coded_keys_and_values(llama: Any) -> None:
    from codeword.nn.cache import CodedCache

    ids = torch.randint(0, 100, (2, 90), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = llama(ids).logits
        errors = []
        for bits in (2, 4):
            cache = CodedCache(key_bits=bits, value_bits=bits, recent=8)
            parts = [llama(ids[:, i : i + 45], past_key_values=cache).logits for i in (0, 45)]
            assert cache.get_seq_length() == 90
            errors.append(float((torch.cat(parts, 1) - wanted).norm() / wanted.norm()))
        assert 0 < errors[1] < 0.5 * errors[0] < 0.2
    assert cache.nbytes < 0.6 * 2 * 2 * 2 * 2 * 90 * 64 * 2


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}])
def test_generation_with_a_window_that_holds_all_is_exact(llama: Any, options: dict[str, Any]) -> None:
    from codeword.nn.cache import CodedCache

    ids = torch.randint(0, 100, (2, 10), generator=torch.Generator().manual_seed(0))
    settings = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0} | options
    wanted = llama.generate(ids, **settings)
    assert torch.equal(llama.generate(ids, past_key_values=CodedCache(recent=64), **settings), wanted)
    assert llama.generate(ids, past_key_values=CodedCache(recent=0), **settings).shape == wanted.shape
