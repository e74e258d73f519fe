"""Reports as one page of HTML: what is on it, what strangers wrote, and how browsers take it."""

import os
import re
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser

import pytest
from PIL import Image

from lelkern.ablation.html import page_of, write_page
from lelkern.ablation.html.charts import charts_of
from lelkern.ablation.html.svg import inlined
from lelkern.ablation.report import read_report, stored_report

HOSTILE = "<script>alert('x')</script>&amp;\"'</style><img src=x onerror=alert(1)>{{ 7 * 7 }}"


class Page(HTMLParser):
    """What a page consists of: tags with attributes, and text by the tag that it is in."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self._open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))

    def text(self, tag):
        return [data for of, data in self.texts if of == tag]


@pytest.fixture(scope="module")
def failed(finished, tmp_path_factory):
    """The folder of a study that has run, but for a trial that failed and one that is to run."""
    folder = tmp_path_factory.mktemp("html") / "results"
    shutil.copytree(finished.store.folder, folder)
    first, second = finished.experiment.trials[:2]
    (folder / "trials" / first.identity / "error.txt").write_text(f"Traceback\nError: {HOSTILE}\n")
    for trial in (first, second):
        (folder / "trials" / trial.identity / "result.json").unlink()
    return folder


def test_a_page_has_what_the_report_has(finished):
    report = finished.report
    page = Page(page_of([report]))
    assert page.text("h1") == [report.record.study.title]
    cells = page.text("td") + page.text("th")
    metric = report.record.metrics[report.record.study.metric]
    for label, estimates in report.arms.items():
        assert label in cells
        found = estimates[report.record.study.metric]
        width = f" ± {metric.number(found.half_width)}" if found.half_width else ""
        assert metric.number(found.mean) + width in cells
    for trial in report.record.all_trials:
        assert trial.identity in cells
    (verdict,) = report.verdicts
    assert verdict.says in page.text("p")
    assert any(verdict.reason in text for text in page.text("p"))
    for comparison in verdict.comparisons:
        assert comparison.statement in cells
        assert comparison.effect in cells
    assert sum(tag == "polyline" for tag, _ in page.tags) == sum(
        len(chart.lines)
        for name, curve in report.record.curves.items()
        for chart in charts_of(report, name, curve)
    )


def test_names_on_a_page_are_its_parts_own_and_all_references_lead_somewhere(finished, failed):
    page = Page(page_of([finished.report, stored_report(failed)]))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        named = attributes.get("aria-labelledby", "").split()
        named += re.findall(r"url\(#(.*?)\)", " ".join(filter(None, attributes.values())))
        for key in ("href", "xlink:href"):
            if attributes.get(key, "").startswith("#"):
                named.append(attributes[key][1:])
        assert set(named) <= set(ids)


def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing(finished):
    page = Page(page_of([finished.report]))
    for tag, attributes in page.tags:
        assert tag not in ("script", "iframe", "object", "embed", "form", "base")
        for key, value in attributes.items():
            assert not key.startswith("on")
            if key in ("src", "href", "xlink:href"):
                assert value.startswith(("#", "data:,"))
    (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv")]
    assert policy.startswith("default-src 'none'")


def test_what_strangers_wrote_stays_text(failed):
    record = stored_report(failed).record
    record = record.model_copy(
        update={"origin": HOSTILE, "found": (HOSTILE,), "name": HOSTILE,
                "study": record.study.model_copy(update={"title": HOSTILE})}
    )  # fmt: skip
    text = page_of([read_report(record, failed)])
    page = Page(text)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img"})
    assert HOSTILE in page.text("h1")
    assert any(HOSTILE in said for said in page.text("summary"))
    assert any(HOSTILE in said for said in page.text("pre"))
    assert any(HOSTILE in said for said in page.text("dd"))


def test_failures_and_what_is_missing_are_shown(failed):
    report = stored_report(failed)
    page = Page(page_of([report]))
    assert f"Incomplete: {report.done} of {report.planned} trials are done." in page.text("p")
    assert page.text("td").count("not done") == 2
    assert any("seed 0: Error: " in said for said in page.text("summary"))


def test_several_studies_have_a_list_of_their_verdicts(finished, failed):
    page = Page(page_of([finished.report, stored_report(failed)]))
    assert page.text("h1") == ["2 studies"]
    assert page.text("span")[:2] == [
        report.verdicts[0].outcome for report in (finished.report, stored_report(failed))
    ]


@pytest.mark.parametrize("text", ["<svg", "<p/>", ""])
def test_what_is_not_svg_is_refused(text):
    with pytest.raises(ValueError, match="text must be SVG"):
        inlined(text, prefix="a-", title="", description="")


def test_a_drawing_that_comes_twice_is_two_drawings():
    text = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'width="9pt" height="9pt" viewBox="0 0 9 9"><defs><path id="a" d="M0 0"/></defs>'
        '<use xlink:href="#a" clip-path="url(#a)"/></svg>'
    )
    drawing = str(inlined(text, prefix="b-", title="<T>", description="D"))
    assert 'id="b-a"' in drawing
    assert 'xlink:href="#b-a"' in drawing
    assert 'clip-path="url(#b-a)"' in drawing
    assert 'width="9pt"' not in drawing
    assert "&lt;T&gt;" in drawing


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
in_a_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium here"),
]


@pytest.fixture(scope="module")
def written(finished, failed, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_page([finished.report, stored_report(failed)], path)
    return path


def browse(path, *options):
    """Open a page in a browser without a window, and return what it wrote."""
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
               "--enable-logging=stderr", f"--user-data-dir={path.parent / 'profile'}", *options,
               path.as_uri()]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


@pytest.mark.parametrize("width", [360, 1100])
class TestInABrowser:
    pytestmark = in_a_browser

    def test_nothing_is_wider_than_the_window(self, written, width):
        # A window is at least 500 pixels wide, a frame is not.
        text = written.read_text().replace("<details>", "<details open>")
        frame = f"""<iframe width={width} height=900 style="border: 0" srcdoc="{escape(text)}"
            onload="const page = contentDocument.documentElement;
            document.title = page.scrollWidth + ' of ' + page.clientWidth"></iframe>"""
        path = written.with_name(f"frame-{width}.html")
        path.write_text(f"<!DOCTYPE html><meta charset=utf-8><title></title>{frame}")
        run = browse(path, "--dump-dom")
        assert Page(run.stdout).text("title")[0] == f"{width} of {width}"

    @pytest.mark.parametrize(("theme", "paper"), [(0, (0x12, 0x12, 0x12)), (1, (255, 255, 255))])
    def test_both_themes_and_a_silent_console(self, written, width, theme, paper):
        shot = written.with_name(f"{width}-{theme}.png")
        run = browse(
            written,
            f"--window-size={width},2400",
            f"--blink-settings=preferredColorScheme={theme}",
            f"--screenshot={shot}",
        )
        assert "CONSOLE" not in run.stderr
        with Image.open(shot) as image:
            counts = image.convert("RGB").getcolors(maxcolors=1 << 24)
        assert max(counts)[1] == paper
        darkest, lightest = min(c for _, c in counts), max(c for _, c in counts)
        assert sum(lightest) - sum(darkest) > 3 * 180  # ink that can be read on it


def test_the_page_is_written_whole_or_not_at_all(finished, tmp_path):
    place = tmp_path / "page.html"
    place.mkdir()
    with pytest.raises(OSError, match=re.escape(str(place))):
        write_page([finished.report], place)
    assert os.listdir(tmp_path) == ["page.html"]
