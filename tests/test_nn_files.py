"""Files of tensors: compressed, expanded and compared, by functions and by the program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from codeword.cli.app import app  # noqa: E402
from codeword.errors import FormatError  # noqa: E402
from codeword.nn import compress_file, diff_files, expand_file, load  # noqa: E402


def run(*args: str) -> Any:
    return CliRunner().invoke(app, ["nn", *args])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    tensors = {
        "embed.weight": torch.randn(150, 64),
        "conv.weight": torch.randn(32, 16, 3, 3).bfloat16(),
        "head.weight": torch.randn(64, 96),
        "head.bias": torch.randn(64),
        "ids": torch.arange(6),
        "small.weight": torch.randn(4, 4),
    }
    path = tmp_path / "in.safetensors"
    save_file(tensors, path)
    return path


def test_matrices_are_compressed_and_the_rest_is_kept(source: Path, tmp_path: Path) -> None:
    out, dense = tmp_path / "out.safetensors", tmp_path / "dense.safetensors"
    report = compress_file(str(source), str(out), bits=4, layers={"head*": None})
    assert [x.name for x in report.layers] == ["conv.weight", "embed.weight"]
    assert dict(report.skipped) == {"head.weight": "as asked for", "small.weight": "16 weights, fewer than 2048"}
    assert report.after == out.stat().st_size
    assert report.bits == 8 * out.stat().st_size / (150 * 64 + 32 * 16 * 9 + 64 * 96 + 64 + 16)
    assert expand_file(str(out), str(dense)) == dense.stat().st_size
    before, after = load_file(source), load_file(dense)
    assert {n: (t.shape, t.dtype) for n, t in before.items()} == {n: (t.shape, t.dtype) for n, t in after.items()}
    for name in ("head.weight", "head.bias", "ids", "small.weight"):
        assert torch.equal(before[name], after[name])
    errors = {row["name"]: row for row in diff_files(str(source), str(out))}
    assert errors["head.weight"]["error"] == 0 and 0 < errors["embed.weight"]["error"] < 0.01
    assert errors["conv.weight"]["cosine"] > 0.99


def test_files_load_into_models(source: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out.safetensors")
    compress_file(str(source), out, bits=3)
    model = nn.ModuleDict(
        {"embed": nn.Embedding(150, 64), "conv": nn.Conv2d(16, 32, 3, bias=False).bfloat16(), "head": nn.Linear(96, 64)}
    )
    model["small"] = nn.Linear(4, 4, bias=False)
    model.register_buffer("ids", torch.zeros(6, dtype=torch.int64))
    load(out, model)
    assert [type(m).__name__ for m in model.values()] == ["VQEmbedding", "VQConv", "VQLinear", "Linear"]
    assert torch.equal(model["embed"](torch.tensor([3])), load(out, dense=True)["embed.weight"][3:4])


def test_the_program_compresses_inspects_expands_and_compares(source: Path, tmp_path: Path) -> None:
    out, dense = str(tmp_path / "out.safetensors"), str(tmp_path / "dense.safetensors")
    done = run("compress", str(source), "-b", "2", "-o", out, "--layer", "embed*=4", "--layer", "head*=none", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["after"] == Path(out).stat().st_size
    assert [round(x["bits"]) for x in report["layers"]] == [2, 4]
    shown = json.loads(run("inspect", out, "--json").stdout)
    assert shown["bytes"] == report["after"] and shown["weights"] == report["weights"]
    assert shown["bits_per_weight"] == pytest.approx(report["bits"])
    assert run("expand", out, "-o", dense).exit_code == 0
    rows = json.loads(run("diff", out, dense, "--json").stdout)
    assert all(row["error"] < 1e-4 for row in rows)
    for command in (("inspect", out), ("diff", out, dense), ("compress", str(source), "-o", out)):
        assert run(*command).exit_code == 0


def test_the_program_scores_before_and_after(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_nn.py").write_text(
        "import torch\ndef make():\n    torch.manual_seed(0)\n    return torch.nn.Sequential(torch.nn.Linear(64, 64))\n"
        "def score(model):\n    return float(model(torch.ones(1, 64)).detach().sum())\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import mine_nn

    from codeword.nn import compress

    compress(mine_nn.make(), 4.0).save("m.safetensors")
    done = run("eval", "m.safetensors", "--model", "mine_nn:make", "--score", "mine_nn:score", "--json")
    figures = json.loads(done.stdout)
    assert figures["before"] == pytest.approx(mine_nn.score(mine_nn.make()))
    assert figures["after"] == pytest.approx(figures["before"], abs=2.0)


def test_what_cannot_be_is_an_error_with_a_line(source: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"nothing of the kind")
    with pytest.raises(FormatError):
        compress_file(str(bad), str(tmp_path / "x"))
    with pytest.raises(ValueError, match="bits"):
        compress_file(str(source), str(tmp_path / "x"), bits=2.2)
    save_file({"w": torch.full((64, 64), float("inf"))}, bad)
    with pytest.raises(ValueError, match="w: expected finite"):
        compress_file(str(bad), str(tmp_path / "x"))
    with pytest.raises(ValueError, match="in one of them only"):
        diff_files(str(source), str(bad))
    assert run("inspect", str(source)).exit_code == 3
    assert run("compress", str(source), "-o", str(tmp_path / "x"), "--layer", "embed").exit_code == 2


def test_gguf_files_are_read(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    path = str(tmp_path / "m.gguf")
    writer = gguf.GGUFWriter(path, "llama")
    values = torch.randn(64, 96, generator=torch.Generator().manual_seed(0)).numpy()
    writer.add_tensor("blk.0.attn_q.weight", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    out = str(tmp_path / "out.safetensors")
    report = compress_file(path, out, bits=4)
    assert report.layers[0].cosine > 0.99
    assert load(out, dense=True)["blk.0.attn_q.weight"].shape == (64, 96)
