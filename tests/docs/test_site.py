"""The site is whole, and needs no network."""

import re
import subprocess
import sys

import pytest
from documented import PAGES, ROOT

SPHINX = ROOT / "docs" / "sphinx"


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    linked = {
        (ROOT / "docs" / target).resolve().relative_to(ROOT).as_posix()
        for target in re.findall(r"^- \[[^\]]+\]\(([^)#]+)\)", index, re.MULTILINE)
    }
    assert linked == {*PAGES} - {"docs/index.md"}


@pytest.fixture
def public_names(monkeypatch):
    """The extension that looks whether the reference is whole."""
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(SPHINX))
    import public_names

    return public_names


def test_a_name_that_is_not_in_the_reference_is_told(public_names):
    names = [name for name, _ in public_names.public_names()]
    assert {"lelkern.nt_xent", "lelkern.nn.ModelEMA", "lelkern.evaluate.knn"} <= {*names}
    assert public_names.missing(names) == []
    for name in ("lelkern.evaluate.knn", "lelkern.methods.contrastive.simclr"):
        assert public_names.missing({*names} - {name}) == [name]


def test_a_name_may_be_in_the_reference_under_another_module(public_names):
    names = {name for name, _ in public_names.public_names()}
    assert public_names.missing(names - {"lelkern.ops.nt_xent"}) == []
    assert public_names.missing(names - {"lelkern.ops.nt_xent", "lelkern.nt_xent"}) != []


@pytest.fixture(scope="module")
def site():
    """The folder of the site, as `make docs` makes it: what it has made already is taken over."""
    for package in ("sphinx", "furo", "myst_parser", "sphinx_click"):
        pytest.importorskip(package)
    options = "--quiet --fail-on-warning --keep-going -c docs/sphinx -d build/doctrees"
    subprocess.run(
        [sys.executable, "-m", "sphinx", *options.split(), ".", "build/site"], cwd=ROOT, check=True
    )
    return ROOT / "build" / "site"


LOADED = re.compile(
    r"""<(?:script|img|iframe|link(?=[^>]*rel="(?:stylesheet|preload|icon)"))[^>]*?"""
    r"""(?:src|href)="(?P<url>[^"]+)"|url\(["']?(?P<css>[^)"']+)|@import\s+["'](?P<sheet>[^"']+)"""
)


@pytest.mark.slow
def test_nothing_comes_from_a_network(site):
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    urls = {
        match["url"] or match["css"] or match["sheet"]
        for file in files
        for match in LOADED.finditer(file.read_text(encoding="utf-8"))
    }
    assert any("site.css" in url for url in urls)
    assert not {url for url in urls if re.match(r"(https?:)?//", url)}


@pytest.mark.slow
def test_every_page_and_formula_is_there(site):
    for page in PAGES:
        assert (site / page).with_suffix(".html").is_file()
    losses = (site / "docs/reference/ops.html").read_text(encoding="utf-8")
    assert "<mfrac>" in losses
    assert "lelkern.nt_xent" in losses


@pytest.mark.slow
def test_links_lead_somewhere(site):
    anchors = {
        file: {*re.findall(r'\b(?:id|name)="([^"]+)"', file.read_text(encoding="utf-8"))}
        for file in site.rglob("*.html")
    }
    broken = []
    for file in anchors:
        text = file.read_text(encoding="utf-8")
        for href in re.findall(r'<a [^>]*?href="([^"]+)"', text):
            if not re.match(r"\w+:", href):
                path, _, anchor = href.partition("#")
                target = (file.parent / path).resolve() if path else file
                if anchor not in {"", *anchors.get(target, ())} or not target.is_file():
                    broken.append(f"{file.relative_to(site)}: {href}")
    assert not broken
