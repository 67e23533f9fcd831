"""`save` and `load`: equal objects and bytes back, and clear errors for files that hold something else."""

from __future__ import annotations

import copy
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import io, registry
from codeword.base import Component, array


class Shift(Component):
    """A component of one array."""

    def __init__(self, by: float = 1.0) -> None:
        self.by = by

    def fit(self, d: int) -> Shift:
        self.d, self.words = d, np.arange(d, dtype="f4") + np.float32(self.by)
        return self

    def _state(self) -> dict[str, Any]:
        return {"words": self.words}

    def _load(self, state: dict[str, Any]) -> None:
        self.words = array(state, "words", np.float32, (self.d,))


class Pair(Component):
    """A component of two parts, whose arrays lie under the parts' names."""

    def __init__(self, left: Any, right: Any) -> None:
        self.left, self.right = left, right

    def config(self) -> dict[str, Any]:
        return {"id": self.id, "d": self.d, "left": self.left.config(), "right": self.right.config()}

    def _state(self) -> dict[str, Any]:
        return {f"{side}.{name}": a for side in ("left", "right") for name, a in getattr(self, side).state().items()}

    @classmethod
    def from_config(cls, config: Any, state: Any) -> Pair:
        def part(side: str) -> Any:
            inner = {name.partition(".")[2]: a for name, a in state.items() if name.startswith(side + ".")}
            return registry.from_config(config.get(side), inner)

        made = cls(part("left"), part("right"))
        made.d = config["d"]
        return made


class Careless(Shift):
    """A user's class whose loading raises whatever happens to it."""

    error: type[BaseException] = ZeroDivisionError

    @classmethod
    def from_config(cls, config: Any, state: Any) -> Any:
        raise cls.error("careless")


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_CLASSES", dict(registry._CLASSES))
    for id, cls in {"test-shift": Shift, "test-pair": Pair, "test-careless": Careless}.items():
        registry.register(id)(cls)


def pair() -> Pair:
    made = Pair(Pair(Shift(2.5).fit(3), Shift().fit(4)), Shift(-1.0).fit(3))
    made.d = made.left.d = 3
    return made


def test_nested_parts_come_back_equal_and_save_to_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.cw"
    cw.save(pair(), path)
    with io.open_container(path) as file:
        assert file.names == ("left.left.words", "left.right.words", "right.words")
        assert file.header == {"config": pair().config()}
    for verify in ("open", "touch", "off"):
        loaded = cw.load(str(path), verify=verify)
        assert loaded == pair()
        cw.save(loaded, tmp_path / "b.cw")
        assert (tmp_path / "b.cw").read_bytes() == path.read_bytes()


def test_loaded_arrays_are_the_callers_own(tmp_path: Path) -> None:
    path = tmp_path / "a.cw"
    cw.save(Shift().fit(4), path)
    loaded = cw.load(path)
    loaded.words += 1  # as learning on in place does
    path.write_bytes(b"gone")
    assert list(loaded.words) == [2, 3, 4, 5]


def test_what_cannot_be_saved_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.cw"
    for obj in (None, {"a": 1}, np.zeros(3), Shift):
        with pytest.raises(TypeError, match="obj: expected a quantizer, transform or pipeline, got"):
            cw.save(obj, path)
    with pytest.raises(cw.NotFittedError):
        cw.save(Shift(), path)

    class Unknown(Shift):
        id = "test-nobody-knows"

    class Impostor(Component):
        id = "test-shift"

        def __init__(self) -> None:
            pass

    with pytest.raises(cw.UnknownQuantizerError, match="test-nobody-knows"):
        cw.save(Unknown().fit(3), path)
    with pytest.raises(cw.UnknownQuantizerError, match="'test-shift' means Shift, and obj is Impostor"):
        cw.save(Impostor(), path)
    assert not os.listdir(tmp_path)


def change(config: dict[str, Any], *keys: str, to: Any) -> dict[str, Any]:
    """A copy of `config` with one value replaced."""
    changed = copy.deepcopy(config)
    inner: Any = changed
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = to
    return changed


@pytest.mark.parametrize(
    ("keys", "to", "error", "message"),
    [
        (("config", "id"), "test-nobody-knows", cw.UnknownQuantizerError, r"a\.cw: unknown id 'test-nobody-knows'; known: "),
        (("config", "id"), 7, cw.UnknownQuantizerError, r"a\.cw: unknown id 7"),
        (("config", "left", "id"), "test-nobody-knows", cw.UnknownQuantizerError, r"a\.cw: unknown id 'test-nobody-knows'"),
        (("config", "left", "left", "d"), 4, cw.FormatError, r"a\.cw: array 'words': expected float32 \(4,\), got float32 \(3,\)"),
        (("config", "left", "left", "d"), "3", cw.FormatError, r"a\.cw: Shift: 'params' must be a mapping and 'd' a width"),
        (("config", "left", "left", "d"), 2**62, cw.FormatError, r"a\.cw: "),
        (("config", "right", "params"), {"more": 1}, cw.FormatError, r"a\.cw: Shift: .*more"),
        (("config", "right", "params"), [1], cw.FormatError, r"a\.cw: "),
        (("config", "id"), "test-shift", cw.FormatError, r"a\.cw: "),
        (("config", "id"), "test-careless", cw.FormatError, r"a\.cw: configuration and arrays do not fit together: .*careless"),
        (("config",), [], cw.FormatError, r"a\.cw: the header has no configuration"),
        (("other",), 1, cw.FormatError, r"a\.cw: the header has more than a configuration"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(
    keys: tuple[str, ...], to: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.cw"
    io.write(path, "model", change({"config": pair().config()}, *keys, to=to), pair().state())
    with pytest.raises(error, match=message):
        cw.load(path)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyError, MemoryError, AttributeError, OverflowError, RecursionError])
def test_no_error_of_a_class_escapes_but_format_error(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Careless, "error", error)
    io.write(tmp_path / "a.cw", "model", {"config": {"id": "test-careless"}}, {})
    with pytest.raises(cw.FormatError, match="careless"):
        cw.load(tmp_path / "a.cw")


def test_arrays_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.cw"
    header, state = {"config": pair().config()}, pair().state()
    for arrays, message in [
        ({k: a for k, a in state.items() if k != "right.words"}, "'words' is missing"),
        ({**state, "right.words": state["right.words"].astype("f8")}, "expected float32"),
        ({**state, "right.words": state["right.words"][:2]}, r"got float32 \(2,\)"),
        ({**state, "right.words": np.full(3, np.nan, "f4")}, "expected finite numbers"),
        ({**state, "right.more": np.zeros(1)}, "holds an array that Pair does not have: right.more"),
    ]:
        io.write(path, "model", header, arrays)
        with pytest.raises(cw.FormatError, match=rf"a\.cw: .*{message}"):
            cw.load(path)


def test_other_kinds_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.cw"
    io.write(path, "codes", {"config": pair().config()}, {})
    with pytest.raises(cw.FormatError, match=r"a\.cw: it holds kind 'codes', not a quantizer"):
        cw.load(path)
    io.write(path, "index", {}, {})
    with pytest.raises(cw.FormatError, match=r"open it with codeword\.open_index"):
        cw.load(path)


def fitted() -> dict[str, Any]:
    X = np.random.default_rng(3).normal(size=(300, 8)).astype("f4")
    return {
        "vector": cw.VectorQuantizer(16).fit(X),
        "product": cw.ProductQuantizer(4, bits=4).fit(X),
        "pipeline": cw.Pipeline([], cw.VectorQuantizer(5)).fit(X),
    }


@pytest.mark.parametrize("name", ["vector", "product", "pipeline"])
def test_hostile_models_end_in_format_error_or_work(name: str, tmp_path: Path) -> None:
    """Any value of the configuration, any array: whatever loads encodes and decodes without another error."""
    quantizer = fitted()[name]
    X = np.zeros((3, 8), "f4")
    header, state = {"config": quantizer.config()}, quantizer.state()
    rng = random.Random(name)
    odd = [None, True, -1, 0, 1, 3, 17, 2**40, 2**63, 0.5, "x", "vector", [], [1], {}, {"id": "product"}]
    for trial in range(300):
        config, arrays = copy.deepcopy(header), dict(state)
        if trial % 3:
            inner: Any = config
            while isinstance(inner, dict) and inner:
                key = rng.choice(sorted(inner))
                if not isinstance(inner[key], dict) or rng.random() < 0.2:
                    inner[key] = rng.choice(odd)
                    break
                inner = inner[key]
        else:
            key = rng.choice(sorted(arrays))
            a = arrays.pop(key)
            new = rng.choice([None, a[:-1], a[..., :0], a[None], a * 0, np.full_like(a, 255), a.astype("f8"), np.tile(a, 2)])
            arrays |= {} if new is None else {key: new}
        io.write(tmp_path / "a.cw", "model", config, arrays)
        try:
            loaded = cw.load(tmp_path / "a.cw")
        except (cw.FormatError, cw.UnknownQuantizerError):
            continue
        loaded.decode(loaded.encode(np.zeros((3, loaded.d), "f4")) if loaded.d != 8 else loaded.encode(X))
