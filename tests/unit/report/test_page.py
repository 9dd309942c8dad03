"""The page as a whole."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from segsweep.report.page import conditions, headline, render_page

VOID = {"meta", "img"}


class Outline(HTMLParser):
    """Open elements, for a check that all of them are closed in order; and every address the page names."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action") and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


@pytest.fixture(scope="module")
def page(facts, study):
    curves = {record.trial_id: study.bench.run.read_metrics(record) for record in study.trials}
    return render_page(facts, curves, {"t0006": [("scene", b"jpeg")]}).decode()


@pytest.fixture(scope="module")
def outline(page):
    found = Outline()
    found.feed(page)
    return found


def test_every_element_is_closed_in_order(outline):
    assert outline.open == []


def test_the_page_tells_the_story_in_order(outline):
    assert outline.headings == [
        "The front",
        "Finalists",
        "What the search gained",
        "Where the time goes",
        "Learning curves",
        "Predictions",
        "Classes",
        "Trials",
        "Ship one",
        "Conditions",
    ]


def test_nothing_is_fetched(page, outline):
    assert [address[:5] for address in outline.addresses] == ["data:"]
    assert "default-src 'none'" in page
    own_style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    assert "url(" not in own_style
    assert "@import" not in own_style


def test_the_headline_names_the_sizes_worth_having_and_the_knee(facts):
    said = re.sub(r"<[^>]+>", "", headline(facts))
    assert said == (
        "Of 4 sizes, n s m are worth having. The knee is s: mask mAP50-95 0.450 on test in 12.0 ms an image. For l "
        "there is another that is at least as accurate and as fast. Searching gained s 0.080 over the default "
        "hyperparameters."
    )


def test_the_headline_of_a_single_size_is_its_figures(facts):
    one = replace(facts, finalists=(replace(facts.finalists[0], gain_over_default=0.0),), knee="t0004")
    said = re.sub(r"<[^>]+>", "", headline(one))
    assert said == "One size was trained to the end, n: mask mAP50-95 0.330 on test in 8.0 ms an image."


def test_the_headline_of_a_front_of_one_says_so(facts):
    n, s, *_ = facts.finalists
    dominated = replace(n, on_front=False, gain_over_default=None)
    said = re.sub(r"<[^>]+>", "", headline(replace(facts, finalists=(dominated, replace(s, gain_over_default=-0.1)))))
    assert said == (
        "Of 2 sizes, only s is worth having: mask mAP50-95 0.450 on test in 12.0 ms an image. For n there is another "
        "that is at least as accurate and as fast."
    )


def test_conditions_name_device_threads_load_and_protocol(facts):
    told = conditions(facts)
    assert "onnxruntime 1.31.1, CPUExecutionProvider, fp32, batch 1, 2 pinned threads" in told["Runtime"]
    assert told["Load"].startswith("Load average 0.10 before and 0.40 after")
    assert "confidence above 0.001" in told["Accuracy"]
    assert facts.setting.dataset_digest in told["Dataset"]


def test_a_disturbed_timing_is_told_at_the_top(facts):
    [n, *others] = facts.finalists
    disturbed = replace(n, judged=replace(n.judged, latency=replace(n.judged.latency, others_cpus=1.5)))
    page = render_page(replace(facts, finalists=(disturbed, *others)), {}, {}).decode()
    assert "kept the machine busy during the timing of n:" in page


def test_names_from_outside_cannot_become_markup(facts):
    setting = replace(facts.setting, run="<img src=x onerror=alert(1)>", run_uri="/runs/a b;<i>", device="<u>")
    page = render_page(replace(facts, setting=setting), {}, {}).decode()
    for hostile in ("<img src=x", "<i>", "<u>"):
        assert hostile not in page.partition("<body>")[2]
    assert "segsweep export &#x27;/runs/a b;&lt;i&gt;&#x27; --out model" in page
