"""The command line: results, JSON that is only JSON, exit codes that mean what the help says, and messages without tracebacks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import codeword as cw
from codeword import files
from codeword.cli.app import app
from codeword.metrics import exact_search

X = (np.random.default_rng(0).normal(size=(600, 16)) @ np.random.default_rng(1).normal(size=(16, 16))).astype(np.float32)


class Shell:
    """Runs the program in a folder that holds X.npy and model.cw (a product quantizer of 4 x 4 bits)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runner = CliRunner()
        np.save(folder / "X.npy", X)
        cw.save(cw.ProductQuantizer(4, bits=4).fit(X), folder / "model.cw")

    def __call__(self, command: str, code: int = 0) -> Any:
        result = self.runner.invoke(app, command.split(), catch_exceptions=False)
        assert result.exit_code == code, f"{command}: {result.exit_code}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr
        return result

    def json(self, command: str) -> Any:
        result = self(command + " --json")
        assert result.stderr == ""
        return json.loads(result.stdout, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))

    def error(self, command: str, code: int = 1) -> str:
        result = self(command, code)
        assert result.stdout == ""
        return str(result.stderr)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return Shell(tmp_path)


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "codeword", *command], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


# What the commands do


def test_fit_encode_decode_give_what_the_library_gives(shell: Shell) -> None:
    shell("fit X.npy -o pq.cw --m 4 --bits 4")
    assert cw.load("pq.cw") == cw.load("model.cw")
    shell("encode pq.cw X.npy -o codes.npy")
    np.testing.assert_array_equal(np.load("codes.npy"), cw.load("pq.cw").encode(X))
    shell("decode pq.cw codes.npy -o Y.fvecs")
    np.testing.assert_array_equal(files.read("Y.fvecs"), cw.load("pq.cw").decode(np.load("codes.npy")))


def test_options_reach_the_quantizer(shell: Shell) -> None:
    shell("fit X.npy -o a.cw -q vector --k 8 --seed 7 --param max_iter=3 -t center -t klt:d_out=5 -t rotation:rounds=2")
    assert repr(cw.load("a.cw")) == (
        "Pipeline([Center(), KLT(d_out=5, seed=7), Rotation(seed=7, rounds=2)], VectorQuantizer(8, max_iter=3, seed=7))"
    )


def test_bits_may_be_a_fraction_where_the_quantizer_allows_it(shell: Shell) -> None:
    assert shell.json("fit X.npy -o a.cw -q trellis --bits 1.5 -t rotation")["code_size"] == 3
    assert shell.json("fit X.npy -o a.cw -q scalar --bits 2")["code_size"] == 4
    assert "bits: expected an integer" in shell.error("fit X.npy -o a.cw --m 4 --bits 2.5")


def test_a_target_chooses_the_quantizer_and_shows_what_it_measured(shell: Shell) -> None:
    printed = shell("fit X.npy -o a.cw --bytes 4 --report page.html").stdout
    made = cw.load("a.cw")
    assert made == cw.auto(X, bytes_per_vector=4) and made.code_size <= 4
    assert "winner" in printed and "95 %" in printed and "page.html" in printed
    assert "<svg" in Path("page.html").read_text()
    facts = shell.json("fit X.npy -o b.cw --min-recall 0.5 --metric cosine --seed 2")
    assert facts["frontier"]["met"] and facts["frontier"]["winner"]["bytes_per_vector"] == facts["code_size"]
    assert shell.json("fit X.npy -o c.cw --m 2 --bits 4")["frontier"] is None
    message = shell.error("fit X.npy -o d.cw --max-distortion 0 --seconds 1 --report far.html")
    assert "not met; nearest is" in message and Path("far.html").exists() and not Path("d.cw").exists()


def test_a_cap_on_memory_gives_the_same_quantizer_or_says_what_it_needs(shell: Shell) -> None:
    shell("fit X.npy -o a.cw --m 4 --bits 4 --max-memory 256MB")
    assert cw.load("a.cw") == cw.load("model.cw")
    assert "max_memory: expected at least" in shell.error("fit X.npy -o b.cw --m 4 --bits 4 --max-memory 1MB")
    assert "--max-memory" in shell.error("fit X.npy -o b.cw --bytes 4 --max-memory 1GB", 2)


def test_fit_on_a_sample_depends_on_the_seed_only(shell: Shell) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        facts = shell.json(f"fit X.npy -o {name}.cw --m 2 --bits 4 --sample 100 --seed {seed}")
        assert facts["rows"] == 100
    assert cw.load("a.cw") == cw.load("b.cw")
    assert not np.array_equal(cw.load("a.cw").codebooks[0], cw.load("c.cw").codebooks[0])


def test_raw_files_and_archives(shell: Shell) -> None:
    (shell.folder / "X.bin").write_bytes(X.tobytes())
    np.savez("X.npz", base=X, other=X[:1])
    shell("encode model.cw X.bin --dtype float32 --dim 16 -o a.npy")
    shell("encode model.cw X.npz --array base -o b.raw")
    shell("decode model.cw b.raw --dtype uint8 --dim 2 -o Y.npy")
    assert (shell.folder / "b.raw").read_bytes() == np.load("a.npy").tobytes()
    assert np.load("Y.npy").shape == X.shape


def test_json_has_the_figures(shell: Shell) -> None:
    fit = shell.json("fit X.npy -o pq.cw --m 4 --bits 4")
    assert (fit["rows"], fit["d"], fit["code_size"], fit["rate"], fit["compression"]) == (600, 16, 2, 1.0, 32.0)
    assert fit["quantizer"] == "ProductQuantizer(4, bits=4)"
    assert shell.json("encode model.cw X.npy -o codes.npy")["nbytes"] == 1200
    assert shell.json("decode model.cw codes.npy -o Y.npy")["rows"] == 600


def test_eval_measures_what_the_library_measures(shell: Shell) -> None:
    facts = shell.json("eval model.cw X.npy --report report.html")
    measured = cw.load("model.cw").distortion(X)
    assert (facts["mse"], facts["snr_db"], facts["gaussian_gap_db"]) == (measured.mse, measured.snr_db, measured.gaussian_gap_db)
    assert (facts["codewords"], facts["codewords_unused"], facts["code_size"]) == (64, 0, 2)
    assert 1 < facts["perplexity"] <= 16
    assert "2 bytes a vector" in Path("report.html").read_text(encoding="utf-8")
    out = shell("eval model.cw X.npy --sample 300").stdout
    assert "300 rows of X.npy" in out
    assert "gap to the Gaussian bound" in out


def test_eval_without_a_bound_has_null_in_it(shell: Shell) -> None:
    np.save("constant.npy", np.ones((50, 16), np.float32))
    cw.save(cw.VectorQuantizer(1).fit(np.ones((50, 16))), "constant.cw")
    facts = shell.json("eval constant.cw constant.npy")
    assert (facts["mse"], facts["snr_db"], facts["gaussian_gap_db"]) == (0, None, None)
    assert "∞ dB" in shell("eval constant.cw constant.npy --report report.html").stdout


def test_search_of_codes_of_vectors_and_of_an_index_agree(shell: Shell) -> None:
    files.write("queries.npy", X[:7] + np.float32(0.01))
    shell("encode model.cw X.npy -o codes.npy")
    shell("index build model.cw X.npy -o X.cwi")
    shell("search model.cw queries.npy --codes codes.npy -k 5 -o a.npy --distances a.fvecs")
    shell("search model.cw queries.npy --base X.npy -k 5 -o b.npy")
    shell("search X.cwi queries.npy -k 5 -o c.ivecs")
    ids, distances = cw.Index(cw.load("model.cw")).add(X).search(np.load("queries.npy"), 5)
    for name in ("a.npy", "b.npy", "c.ivecs"):
        np.testing.assert_array_equal(files.read(name), ids)
    np.testing.assert_array_equal(files.read("a.fvecs"), distances)


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_search_measures_recall(shell: Shell, metric: str) -> None:
    shell(f"index build model.cw X.npy -o X.cwi --metric {metric}")
    files.write("truth.ivecs", exact_search(X, X[:20], 10, metric)[0])
    files.write("queries.npy", X[:20])
    found = shell.json("search X.cwi queries.npy --truth truth.ivecs")
    same = shell.json(f"search model.cw queries.npy --base X.npy --exact --metric {metric}")
    assert found["metric"] == metric
    assert 0 < found["recall"] == same["recall"] <= 1
    assert len(found["ids"]) == len(found["distances"]) == 20
    assert f"{found['recall']:.4f}" in shell("search X.cwi queries.npy --truth truth.ivecs").stdout


def test_search_for_more_than_there_is(shell: Shell) -> None:
    files.write("few.npy", X[:3])
    found = shell.json("search model.cw few.npy --base few.npy -k 10 --exact --threads 1")
    assert (np.shape(found["ids"]), found["recall_k"], found["recall"]) == ((3, 3), 3, 1.0)


def test_info_and_verify_know_an_index(shell: Shell) -> None:
    shell("index build model.cw X.npy -o X.cwi")
    assert shell.json("info X.cwi")["kind"] == "index"
    assert "<Index of 600 vectors" in shell("info X.cwi").stdout
    assert shell.json("verify X.cwi")[0]["sound"]
    assert "it holds an index; codeword search" in shell.error("encode X.cwi X.npy -o codes.npy")


def test_an_index_is_added_to_and_removed_from(shell: Shell) -> None:
    Path("ids.txt").write_text("".join(f"w{i}\n" for i in range(600)), encoding="utf-8")
    shell("index build model.cw X.npy -o X.index --ids ids.txt --lists 4 --refine float16")
    files.write("more.npy", X[:3] + np.float32(0.5))
    Path("more.txt").write_text("new\nnewer\nw5\n", encoding="utf-8")
    assert "'w5' is in the index" in shell.error("index add X.index more.npy --ids more.txt")
    assert shell.json("index add X.index more.npy --ids more.txt --replace")["n"] == 602
    assert shell.json("index remove X.index new --vacuum")["deleted"] == 0
    Path("gone.txt").write_text("w1\nw2\n", encoding="utf-8")
    facts = shell.json("index remove X.index --ids gone.txt")
    assert (facts["n"], facts["removed"], facts["deleted"]) == (599, 2, 2)
    assert "'w1' is not in the index" in shell.error("index remove X.index w1")
    found = shell.json("index search X.index more.npy -k 2 --recall 1")
    assert found["ids"][1][0] == "newer" and found["ids"][2][0] == "w5"
    opened = cw.open_index("X.index")
    assert len(opened) == 599 and "new" not in opened and opened.stats()["lists"]["count"] == 4
    assert shell.json("index info X.index")["stats"]["n"] == 599
    assert "codeword index remove --vacuum" in shell("info X.index").stdout
    assert "index of 6 files" in shell("index verify X.index").stdout
    shell("index build model.cw X.npy -o N.index")
    assert shell.json("index remove N.index 3 4")["n"] == 598 and 3 not in cw.open_index("N.index")
    assert "give --ids" in shell.error("index add N.index more.npy --replace", code=2)
    assert "whole number" in shell.error("index build model.cw X.npy -o M.index --lists many", code=2)


def test_info_of_the_installation(shell: Shell) -> None:
    facts = shell.json("info")
    assert facts["version"] == cw.__version__
    assert facts["isa"] in facts["available_isas"]
    assert facts["threads"] >= 1
    assert {"product", "rotation"} <= set(facts["registered"])
    assert cw.__version__ in shell("info").stdout


def test_info_of_a_file(shell: Shell) -> None:
    facts = shell.json("info model.cw")
    assert facts["kind"] == "model"
    assert facts["object"] == "ProductQuantizer(4, bits=4)"
    assert "codebooks" in [a["name"] for a in facts["arrays"]]
    assert "ProductQuantizer(4, bits=4)" in shell("info model.cw").stdout


def test_threads_are_set(shell: Shell, keep_threads: None) -> None:
    shell("fit X.npy -o a.cw --m 4 --bits 4 --threads 1")
    assert cw.load("a.cw") == cw.load("model.cw")
    assert shell.json("info")["threads"] == 1


# What goes wrong


def test_a_damaged_file_exits_with_3(shell: Shell) -> None:
    data = bytearray((shell.folder / "model.cw").read_bytes())
    data[-20] ^= 1
    (shell.folder / "bad.cw").write_bytes(data)
    result = shell("verify model.cw bad.cw", code=3)
    assert result.stdout.startswith("model.cw: sound")
    assert "error: bad.cw" in result.stderr
    assert "bad.cw" in shell.error("encode bad.cw X.npy -o codes.npy", code=3)
    result = shell("verify model.cw bad.cw --json", code=3)
    assert [r["sound"] for r in json.loads(result.stdout)] == [True, False]
    assert shell.json("verify model.cw")[0]["sound"]
    (shell.folder / "cut.fvecs").write_bytes(b"\2\0\0\0\0")
    assert "cut off" in shell.error("encode model.cw cut.fvecs -o codes.npy", code=3)
    assert not (shell.folder / "codes.npy").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("encode model.cw none.npy -o codes.npy", "error: none.npy: no such file"),
        ("encode none.cw X.npy -o codes.npy", "error: none.cw: No such file or directory"),
        ("encode model.cw X.npy -o none/codes.npy", "no such directory"),
        ("encode model.cw X.npy --column a -o codes.npy", "a column (['a']) can only be chosen"),
        ("encode model.cw narrow.npy -o codes.npy", "width 8 instead of 16"),
        ("encode model.cw nan.npy -o codes.npy", "got nan in row 3, column 5"),
        ("decode model.cw X.npy -o Y.npy", "expected dtype uint8"),
        ("fit X.npy -o a.cw --m 40", "expected at most d = 16 pieces, got 40"),
        ("fit X.npy -o a.cw --m 4 --bits 10", "1024"),
        ("fit X.csv -o a.cw --m 4", "no such file"),
        ("search model.cw narrow.npy --base X.npy", "width 8 instead of 16"),
        ("search model.cw X.npy --base X.npy --metric l1", "expected one of 'l2', 'ip', 'cosine', got 'l1'"),
        ("search model.cw X.npy --codes X.npy", "expected dtype uint8"),
        ("encode rotation.cw X.npy -o codes.npy", "expected a quantizer, it holds a Rotation"),
    ],
)
def test_a_user_error_exits_with_1_and_says_why(shell: Shell, command: str, message: str) -> None:
    np.save("narrow.npy", X[:, :8])
    np.save("nan.npy", np.where(np.arange(16 * 600).reshape(600, 16) == 3 * 16 + 5, np.nan, X))
    cw.save(cw.Rotation().fit(X), "rotation.cw")
    before = sorted(p.name for p in shell.folder.iterdir())
    error = shell.error(command)
    assert error.startswith("error: ")
    assert message in error
    assert sorted(p.name for p in shell.folder.iterdir()) == before


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("fit X.npy", "--output"),
        ("fit X.npy -o a.cw", "product needs --m"),
        ("fit X.npy -o a.cw -q vector", "vector needs --k"),
        ("fit X.npy -o a.cw -q nonsense", "no quantizer 'nonsense'; there are: additive"),
        ("fit X.npy -o a.cw -q rotation", "no quantizer 'rotation'"),
        ("fit X.npy -o a.cw --m 4 -t product", "no transform 'product'; there are: center"),
        ("fit X.npy -o a.cw --m 4 --k 3", "product has no parameter 'k'; it has m, bits"),
        ("fit X.npy -o a.cw --m 4 -t klt:axes=3", "klt has no parameter 'axes'"),
        ("fit X.npy -o a.cw --m 4 --param nonsense", "expected name=value"),
        ("fit X.npy -o a.cw --m 4 --threads 0", "--threads"),
        ("fit X.npy -o a.cw --m 4 --bytes 4", "a target chooses the quantizer"),
        ("fit X.npy -o a.cw --effort best --bytes 4", "a target chooses the quantizer"),
        ("search model.cw X.npy", "say what to search in, either --base or --codes"),
        ("search model.cw X.npy --base X.npy --codes X.npy", "either --base or --codes"),
        ("search model.cw X.npy --codes X.npy --exact", "give --base"),
        ("search X.cwi X.npy --metric ip", "has its own codes and metric"),
        ("nonsense", "nonsense"),
    ],
)
def test_wrong_usage_exits_with_2(shell: Shell, command: str, message: str) -> None:
    cw.Index(cw.load("model.cw")).add(X).save("X.cwi")
    assert message in re.sub(r"\s+", " ", shell.error(command, code=2).replace("│", ""))


# The program itself


def test_every_command_has_examples_and_the_program_says_its_exit_codes(shell: Shell) -> None:
    page = shell("--help").stdout
    assert all(word in page for word in ("Exit codes", "130", "damaged"))
    commands = [c.name for c in app.registered_commands]
    assert {"demo", "fit", "encode", "decode", "eval", "search", "info", "verify"} <= set(commands)
    commands += [f"index {name}" for name in ("build", "add", "remove")]
    for command in commands:
        assert f"codeword {command}" in shell(f"{command} --help").stdout


@pytest.mark.parametrize("name", ["bash", "zsh", "fish", "powershell"])
def test_completion_scripts_print(name: str) -> None:
    result = run(_CODEWORD_COMPLETE=f"source_{name}")
    assert result.returncode == 0
    assert "_CODEWORD_COMPLETE" in result.stdout


def test_completion_knows_quantizers_and_transforms() -> None:
    def complete(words: str, last: int) -> str:
        return run(_CODEWORD_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(last)).stdout

    assert complete("codeword en", 1).split() == ["encode"]
    assert "product" in complete("codeword fit X.npy -q p", 4).split()
    assert "rotation" in complete("codeword fit X.npy --transform ", 4).split()


def test_help_and_version_import_nothing_heavy() -> None:
    script = (
        "import sys; from codeword.cli.app import app; app(['--version'], standalone_mode=False); print('numpy' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == f"codeword {cw.__version__}\nFalse\n"


def test_the_process_has_clean_streams(shell: Shell) -> None:
    result = run("info", "model.cw", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["kind"] == "model"
    result = run("encode", "model.cw", "none.npy", "-o", "codes.npy", "--json")
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "error: none.npy: no such file\n")


# A background job starts with SIGINT ignored, and so do its children: this child heeds it again.
HEEDING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from codeword.cli import main; main()"


@pytest.mark.skipif(os.name == "nt", reason="no signals to send there")
def test_ctrl_c_exits_with_130_and_leaves_no_file(shell: Shell) -> None:
    np.save("big.npy", np.random.default_rng(0).normal(size=(100_000, 64)).astype(np.float32))
    command = [
        sys.executable,
        "-c",
        HEEDING,
        "fit",
        "big.npy",
        "-o",
        "big.cw",
        "-q",
        "vector",
        "--k",
        "4096",
        "--param",
        "max_iter=100000",
        "--param",
        "tol=0.0",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "error: interrupted\n")
    assert not list(shell.folder.glob("*big.cw*")) + list(shell.folder.glob(".codeword*"))


@pytest.mark.skipif(os.name == "nt", reason="a shell's pipe")
def test_a_reader_that_leaves_is_no_traceback(shell: Shell) -> None:
    command = f"{sys.executable} -m codeword info model.cw --json | head -c 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr
