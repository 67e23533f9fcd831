"""The examples in README.md and docs/ do what they say."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

from codeword import _native

ROOT = Path(__file__).resolve().parent.parent
PAGES = [p for p in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if p.exists()]
NEEDS = {
    "anomaly.md": "sklearn",
    "clustering.md": "sklearn",
    "segments.md": "pandas",
    "torch.md": "torch",
}  # what a page is about and the test extra lacks
pytestmark = pytest.mark.skipif(not PAGES, reason="the pages are not installed with the package")


def _examples(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep_threads: None) -> None:
    if page.name in NEEDS:
        pytest.importorskip(NEEDS[page.name])
    monkeypatch.chdir(tmp_path)
    examples = _examples(page)
    sessions = "\n".join(e for e in examples if ">>>" in e)
    if sessions:
        test = doctest.DocTestParser().get_doctest(sessions, {}, page.name, str(page), 0)
        assert doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).run(test).failed == 0
    for script in (e for e in examples if ">>>" not in e):
        exec(compile(script, str(page), "exec"), {})
    assert _native.threads() >= 1


def test_commands_in_the_readme_exist() -> None:
    from codeword.cli.app import app

    known = {c.name for c in app.registered_commands} | {g.name for g in app.registered_groups}
    for page in PAGES:
        for command in re.findall(r"^    codeword (\w+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert command in known, f"{page.name}: codeword {command}"


def test_readme_example_does_what_its_comments_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (ROOT / "README.md").exists():
        pytest.skip("the tests run beside an installed package, without README.md")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(_examples(ROOT / "README.md")[0], names)
    codes, ids = names["codes"], names["ids"]
    assert isinstance(codes, np.ndarray)
    assert isinstance(ids, np.ndarray)
    assert (codes.shape, codes.dtype, ids.shape) == ((20_000, 16), np.uint8, (5, 10))
    assert ids[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert (tmp_path / "model.cw").exists()
