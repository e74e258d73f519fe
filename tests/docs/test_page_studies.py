"""Studies on the pages are studies."""

import pytest
from documented import PAGES, blocks

from lelkern.ablation.run.experiment import prepare
from lelkern.config import ConfigError

STUDIES = [
    pytest.param(block.code, id=f"{page}:{block.line}")
    for page in PAGES
    for block in blocks(page, "toml")
    if "title = " in block.code and page != "CONTRIBUTING.md"  # which tests/ablation runs
]


@pytest.mark.parametrize("text", STUDIES)
@pytest.mark.parametrize("quick", [False, True])
def test_a_study_would_run(text, quick, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    assert prepare(str(path), quick=quick).all_trials


@pytest.mark.parametrize("text", STUDIES)
def test_a_mistake_in_one_would_be_told(text, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(text.replace("[[factor]]\nkey = ", "[[factor]]\nkey = 'no' # "), "utf-8")
    with pytest.raises(ConfigError):
        prepare(str(path))
