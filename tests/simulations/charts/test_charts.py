"""Charts as SVG, PNG and text, the pictures of tune and simulate, and the page that contains them."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from PIL import Image, ImageFont
from rich.cells import cell_len

from hushtally.cli import main
from hushtally.simulations.charts.axis import Axis
from hushtally.simulations.charts.bar_chart import BAR, BLUE, Bar, BarChart, Group
from hushtally.simulations.charts.line_chart import MAX_LINES, MAX_MARKERS, WIDTH, Line, LineChart, merge_equal
from hushtally.simulations.charts.png import FONTS, to_png
from hushtally.simulations.charts.shapes import ALARM, COLOURS, INK, MUTED, Polygon, Polyline, Text, text_width
from hushtally.simulations.charts.svg import to_svg
from hushtally.simulations.charts.text import to_text
from hushtally.simulations.cli.page import Page
from hushtally.simulations.cli.picture import Picture
from hushtally.simulations.definition import Definition
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population.population import Population
from hushtally.simulations.simulate.pictures import MAX_BARS, simulation_pictures
from hushtally.simulations.simulate.scenario import Scenario
from hushtally.simulations.simulate.simulation import Outcome, simulate
from hushtally.simulations.simulate.tables import outcome_tables
from hushtally.simulations.tune.constraints import Constraints
from hushtally.simulations.tune.pictures import tuning_pictures
from hushtally.simulations.tune.tuning import tune

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def pictures(example: Path) -> list[Picture]:
    definition = Definition.load(example)
    constraints = Constraints(200_000, ceiling=28.0)
    return tuning_pictures(definition, constraints, tune(definition, constraints, Population.from_shape("zipf:1")))


def test_a_tuning_has_three_pictures(pictures: list[Picture]) -> None:
    assert [picture.name for picture in pictures] == ["error", "detectable", "lifetime"]
    error, detectable, lifetime = (picture.chart for picture in pictures)
    assert error.limit == (0.01, "target: ±1 point")
    for chart in (error, detectable):
        for line in chart.lines:
            assert list(line.points) == sorted(line.points), "the points are in order from left to right"
            assert [y for _, y in line.points] == sorted((y for _, y in line.points), reverse=True), "y falls with x"
    assert {line.points[-1][1] for line in lifetime.lines if "one week in 4" in line.name} == {7 * 1.0 * 4}


def test_an_svg_is_well_formed_and_has_a_description(pictures: list[Picture]) -> None:
    """It has a title and a description, and all points are within its size."""
    for picture in pictures:
        root = ElementTree.fromstring(to_svg(picture.chart))
        assert root.get("role") == "img"
        assert root.findtext(f"{SVG}title") == picture.chart.title
        assert picture.chart.lines[0].name in (root.findtext(f"{SVG}desc") or "")
        for element in root.iter():
            for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", element.get("points", "")):
                assert 0 <= float(x) <= WIDTH
                assert 0 <= float(y) <= picture.chart.height


def test_special_characters_are_escaped() -> None:
    chart = LineChart("<b>", Axis.over("x & y", [0, 1]), Axis.over("<i>", [0, 1]), [Line("a<b", [(0, 0), (1, 1)])])
    texts = {element.text for element in ElementTree.fromstring(to_svg(chart)).iter(f"{SVG}text")}
    assert {"<b>", "<i>", "x & y", "a<b"} <= texts


def test_tick_labels_do_not_overlap(pictures: list[Picture]) -> None:
    for picture in pictures:
        rows: dict[float, list[tuple[float, float]]] = {}
        for shape in picture.chart.shapes:
            if isinstance(shape, Text) and shape.anchor == "middle":
                half = len(shape.text) * shape.size * 0.3
                rows.setdefault(shape.at[1], []).append((shape.at[0] - half, shape.at[0] + half))
        for spans in rows.values():
            assert all(left[1] < right[0] for left, right in zip(sorted(spans), sorted(spans)[1:], strict=False))


def test_a_png_has_twice_the_size_of_the_chart(pictures: list[Picture]) -> None:
    for picture in pictures:
        image = Image.open(io.BytesIO(to_png(picture.chart)))
        assert image.size == (2 * WIDTH, 2 * picture.chart.height)
        assert len(image.getcolors(10**6) or ()) > 10


def test_names_in_many_languages_are_drawn() -> None:
    """A PNG shows the letters if the system has a font with them; a terminal aligns wide letters."""

    def bars(name: str) -> BarChart:
        return BarChart("t", "estimate", [Group("g", "", [Bar(name, 0.1, 0.0, 0.2, 0.1)])])

    try:
        ImageFont.truetype(FONTS[0], 20)
    except OSError:
        pytest.skip("the system has no such font")
    assert to_png(bars("\u00fc\u00df")) != to_png(bars("\u00f6\u00e5")), "two letters look different"
    plain, wide = (to_text(bars(name)).splitlines()[-1] for name in ("x" * 30, "\u65e5" * 30))
    assert cell_len(plain) == cell_len(wide)


def test_a_png_needs_pillow(pictures: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(SimulationError, match="a PNG needs Pillow; run: pip install 'hushtally"):
        to_png(pictures[0].chart)


def test_the_text_shows_every_line_and_the_limit(pictures: list[Picture]) -> None:
    text = to_text(pictures[0].chart)
    assert "-" * 20 in text
    for letter, line in zip("abc", pictures[0].chart.lines, strict=True):
        assert f"  {letter} {line.name}" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("values", "log", "texts"),
    [
        ([0, 28], False, ["0", "5", "10"]),
        ([-0.3, 0.8], False, ["-0.2", "0", "0.2"]),
        ([1, 3], False, ["0", "1", "2", "3"]),
        ([0.25, 4], True, ["0.5", "1", "2"]),
        ([20_000, 6e6], True, ["20k", "50k", "100k", "200k", "500k", "1M", "2M", "5M"]),
        ([1, 1e9], True, ["1", "100", "10k", "1M", "100M"]),
        ([2, 2], False, ["0", "0.5", "1", "1.5", "2"]),
    ],
)
def test_ticks_are_round_numbers(values: list[float], log: bool, texts: list[str]) -> None:
    axis = Axis.over("x", values, log=log)
    assert [axis.text(tick) for tick in axis.ticks][: len(texts)] == texts
    assert len(axis.ticks) <= 10


def test_an_axis_has_a_margin_except_at_zero() -> None:
    """Without a margin, a line that ends at the frame could seem to continue behind it."""
    for values, (low, high) in (
        ([0.0, 1.0], (0.0, 1.03)),
        ([-1.0, 1.0], (-1.06, 1.06)),
        ([-1.0], (-1.03, 0.0)),
        ([0.0], (0.0, 1.0)),
        ([], (0.0, 1.0)),
    ):
        axis = Axis.over("x", values)
        assert (axis.low, axis.high) == (pytest.approx(low), pytest.approx(high))


def test_equal_lines_are_merged_into_one_with_all_names() -> None:
    points = [(1.0, 2.0), (2.0, 3.0)]
    lines = merge_equal([Line("a", points), Line("other", [(1.0, 2.0)]), Line("b", points)])
    assert [(line.name, line.points) for line in lines] == [("a, b", tuple(points)), ("other", ((1.0, 2.0),))]
    [many] = merge_equal([Line(f"a question with a name {number}", points) for number in range(9)])
    assert many.name == "a question with a name 0 and 8 equal lines"


def test_lines_that_run_together_have_markers_at_different_points() -> None:
    level = [(float(x), 1.0) for x in range(40)]
    rising = [*level[:20], *((float(x), 2.0) for x in range(20, 40))]
    x, y = Axis.over("x", [0, 40]), Axis.over("y", [0, 2])
    markers = [
        one for one in LineChart("t", x, y, [Line("a", level), Line("b", rising)]).shapes if isinstance(one, Polygon)
    ]
    places = [
        (colour, {max(x for x, _ in one.points) for one in markers if one.colour == colour}) for colour in COLOURS
    ]
    assert len(places[0][1]) > 5 < len(places[1][1])
    assert not {round(one) for one in places[0][1]} & {round(one) for one in places[1][1]}


@pytest.mark.parametrize("colour", [*COLOURS, INK, MUTED, ALARM, BLUE])
def test_text_lines_and_edges_have_enough_contrast_on_white(colour: str) -> None:
    """The contrast is at least 4.5 to 1, which WCAG 2 requires for text."""

    def luminance(channel: int) -> float:
        share = channel / 255
        return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)

    red, green, blue = (luminance(int(colour[place : place + 2], 16)) for place in (1, 3, 5))
    assert 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) >= 4.5


def test_the_description_of_a_bar_chart_has_all_figures() -> None:
    """It includes the intervals and the misses; also, every pale bar has an edge."""
    bars = BarChart("t", "estimate", [Group("g", "", [Bar("a", 0.1, 0.05, 0.2, 0.1), Bar("b", 0.1, 0.05, 0.2, 0.3)])])
    assert bars.description == (
        "g a: true value 10.0%, estimate 10.0%, interval 5.0% to 20.0%; g b: true value 30.0%, estimate 10.0%, interval"
        " 5.0% to 20.0%, a miss"
    )
    edges = [list(one.points)[:-1] for one in bars.shapes if isinstance(one, Polyline) and one.colour == BLUE]
    assert edges == [one.points for one in bars.shapes if isinstance(one, Polygon) and one.colour == BAR]


class PageParser(HTMLParser):
    """Collects what a page loads from elsewhere, and the elements that it leaves open."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [f"{tag} {value}" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_loads_nothing_from_elsewhere(example: Path, tmp_path: Path) -> None:
    page, folder = tmp_path / "page.html", tmp_path / "pictures"
    arguments = [
        "tune",
        str(example),
        "--devices",
        "200000",
        "--ceiling",
        "28",
        "--output",
        str(page),
        "--pictures",
        str(folder),
        "--draw",
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "Lifetime epsilon of a device" in result.stdout
    text = page.read_text(encoding="utf-8")
    parser = PageParser()
    parser.feed(text)
    assert (parser.loads, parser.open) == ([], [])
    assert "url(" not in text
    assert text.count("<svg") == 3
    assert "the 95% interval of every segment is at most" in text
    for fact in (
        "assumed shape zipf:1 for every question",
        "200,000, of which 100% take part",
        Definition.load(example).survey.digest,
        f"hushtally tune {example} --devices 200000 --ceiling 28.0<",
        str(datetime.now(UTC).date()),
        "number of answers without randomization that are equally accurate",
    ):
        assert fact in text
    assert text.count("<table") == 1 + 4 + 1
    assert max(row.count("<td") for row in text.splitlines()) <= 7
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{name}.{form}" for name in ("error", "detectable", "lifetime") for form in ("svg", "png")
    )


@pytest.mark.parametrize("zone", ["UTC-14", "UTC+12"])  # at any time, the date in one of them differs from UTC
def test_the_date_on_a_page_is_utc(example: Path, zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, before = tmp_path / "page.html", datetime.now(UTC).date()
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        CliRunner().invoke(main, ["tune", str(example), "--devices", "200000", "--output", str(page)])
    time.tzset()
    days = {before, datetime.now(UTC).date()}
    assert any(f"{day} by hushtally" in page.read_text(encoding="utf-8") for day in days)


def test_pictures_are_not_printed_among_rows(example: Path, tmp_path: Path) -> None:
    arguments = ["tune", str(example), "--devices", "200000", "--draw", "--format", "csv"]
    assert "Lifetime epsilon" not in CliRunner().invoke(main, arguments).stdout


def test_a_simulation_has_a_picture_for_each_question(example: Path, tmp_path: Path) -> None:
    """Each picture shows the estimates, the intervals and the true shares of each epoch."""
    survey = Definition.load(example).survey
    rows = simulate(survey, Scenario(100_000, Population.from_shape("zipf:1"), epochs=4))
    found = simulation_pictures(rows)
    assert [picture.name for picture in found] == [question.id for question in survey.asked]
    assert all(len(picture.chart.lines) <= MAX_LINES for picture in found)
    for line in (line for picture in found for line in picture.chart.lines):
        assert len(line.points) == len(line.intervals) == len(line.truths) == 4
        assert all(low <= y <= high for (_, y), (low, high) in zip(line.points, line.intervals, strict=True))
    assert len(found[2].chart.lines) == 8
    assert "capital letter: true value" in to_text(found[0].chart)
    assert "marker: estimate with its 95% interval; stroke: true value" in to_svg(found[0].chart)
    assert Page("t", "w", {}, found, {}, outcome_tables(rows)).html().count("<svg") == 4
    path = tmp_path / "page.html"
    result = CliRunner().invoke(main, ["simulate", str(example), "--devices", "100000", "--output", str(path)])
    assert result.exit_code == 0, result.output
    text = path.read_text(encoding="utf-8")
    assert text.count("<svg") == 4
    assert "assumed shape zipf:1 for every question" in text
    assert not re.search(r"\de[+-]\d", text), "no number is in exponential notation"


def outcomes(segments: int, epochs: int = 1, repetitions: int = 1) -> list[Outcome]:
    """Equal shares of one question; only the interval of the last segment misses its share."""
    last = segments - 1
    return [
        Outcome(
            "s", 1, "tallies", "q", f"2026-W{45 + epoch}", f"c{n}", repetitions, 600.0, 0.1, repetitions,
            0.3 if n == last else 0.1, 0.2 if n == last else -0.02, 0.4 if n == last else 0.2, 0.0, 0.1, 1.0,
        )
        for epoch in range(epochs)
        for n in range(segments)
    ]  # fmt: skip


def test_a_bar_chart_of_means_has_another_key_and_zero_has_no_sign() -> None:
    [picture] = simulation_pictures([replace(one, estimate=-0.0004) for one in outcomes(2, repetitions=5)])
    assert isinstance(picture.chart, BarChart)
    words = [shape.text for shape in picture.chart.shapes if isinstance(shape, Text)]
    assert "true value; outside: most miss" in words
    assert words.count("0.0%") == 2
    assert "estimate 0.0%" in picture.chart.description
    [single] = simulation_pictures(outcomes(2))
    assert "true value; outside: a miss" in [one.text for one in single.chart.shapes if isinstance(one, Text)]  # type: ignore[union-attr]


def test_one_epoch_is_a_bar_chart_with_all_segments() -> None:
    """The segments are in order, with their complete intervals, also below 0; a miss is labelled."""
    [picture] = simulation_pictures(outcomes(3))
    assert isinstance(picture.chart, BarChart)
    assert picture.chart.title == "q"
    [group] = picture.chart.groups
    assert (group.name, group.subtitle) == ("2026-W45", "600 reports")
    assert [bar.name for bar in group.bars] == ["c0", "c1", "c2"]
    assert [bar.misses for bar in group.bars] == [False, False, True]
    words = [shape.text for shape in picture.chart.shapes if isinstance(shape, Text)]
    assert words.count("miss") == 1
    assert words.count("0%") == words.count("40%") == 2, "ticks have labels above and below"
    boxes = [shape.points for shape in picture.chart.shapes if isinstance(shape, Polygon) and shape.colour == BAR][1:]
    zero = picture.chart.x(0.0)
    assert [box[0][0] < zero < box[1][0] for box in boxes] == [True, True, False], "no bar is cut at 0"
    assert to_svg(picture.chart).count(">miss</text>") == to_text(picture.chart).count(" miss") == 1
    assert Image.open(io.BytesIO(to_png(picture.chart))).size == (2 * 760, 2 * picture.chart.height)


def test_charts_without_bars_and_with_long_names() -> None:
    """A chart without bars has a title and an axis. A name that is too long is cut, and does not leave the chart."""
    assert "<svg" in to_svg(BarChart("nothing", "estimate", []))
    for letter, most in (("x", 36), ("W", 22), ("\u65e5", 22)):
        bars = BarChart("t", "estimate", [Group("g" * 90, "", [Bar(letter * 60, 0.1, 0.0, 0.2, 0.1)])])
        line = Line(letter * 60, [(1.0, 1.0)])
        chart = LineChart("t" * 90, Axis.over("x", [1]), Axis.over("y", [1]), [line])
        for picture in (bars, chart):
            words = [shape for shape in picture.shapes if isinstance(shape, Text)]
            for one in words:
                left = one.at[0] - {"start": 0, "middle": 0.5, "end": 1}[one.anchor] * text_width(one.text, one.size)
                assert 0 <= left <= left + text_width(one.text, one.size) <= picture.width, one.text
        assert f"{letter * most}…" in {shape.text for shape in bars.shapes if isinstance(shape, Text)}


@pytest.mark.parametrize("epochs", [1, 2])
def test_the_key_says_what_a_marker_is(epochs: int) -> None:
    """A marker is one estimate or, with several repetitions, a mean."""
    [one] = simulation_pictures(outcomes(3, epochs))
    assert one.chart.key == "estimate with its 95% interval"
    [several] = simulation_pictures(outcomes(3, epochs, repetitions=20))
    assert several.chart.key == "mean of 20 estimates, mean 95% interval"
    for picture in (one, several):
        assert picture.chart.key in to_svg(picture.chart)


def test_the_interval_of_a_mean_has_the_mean_width(example: Path) -> None:
    survey = Definition.load(example).survey
    repeated = simulate(survey, Scenario(100_000, Population.from_shape("zipf:1")), repetitions=2)
    chart = simulation_pictures(repeated)[0].chart
    assert isinstance(chart, BarChart)
    bar = chart.groups[0].bars[0]
    assert (bar.high - bar.low) / 2 == pytest.approx(repeated[0].half_width)
    assert (bar.high + bar.low) / 2 == pytest.approx(bar.estimate)
    assert chart.groups[0].subtitle.endswith(" reports on average")


@pytest.mark.parametrize(("epochs", "most"), [(1, MAX_BARS), (2, MAX_LINES)])
def test_the_title_says_how_many_segments_are_shown(epochs: int, most: int) -> None:
    """Of 40 segments, only the largest are shown."""
    [picture] = simulation_pictures(outcomes(40, epochs))
    chart = picture.chart
    assert (len(chart.groups[0].bars) if isinstance(chart, BarChart) else len(chart.lines)) == most
    assert chart.title == f"q: the largest {most} of 40 segments"
    if isinstance(chart, LineChart):
        assert chart.x.ticks == [1, 2]


def test_the_picture_of_the_lifetime_epsilon_is_complete(example: Path) -> None:
    """It shows the epsilon, the permanent memory and the ceiling, and its markers have equal distances."""
    text = example.read_text(encoding="utf-8")
    permanent = text.replace('memory = "fresh"', 'memory = "permanent"\nepsilon_permanent = 3.0\nchanges = 1')
    for definition, epsilon, name in (
        (Definition.parse(text), 4.0, "permanent, every week (assumed: epsilon_permanent 8, 3 changes)"),
        (Definition.parse(permanent), 3.0, "permanent, every week (epsilon_permanent 3, 1 change)"),
    ):
        constraints = Constraints(500_000, target=0.006, ceiling=40.0)
        found = tune(definition, constraints, Population.from_shape("zipf:1"), [epsilon])
        chart = tuning_pictures(definition, constraints, found)[2].chart
        assert isinstance(chart, LineChart)
        assert chart.title == f"Lifetime epsilon of a device (epsilon {epsilon:g} per report)"
        assert name in [line.name for line in chart.lines]
        assert chart.limit == (40, "ceiling: 40")
        [ceiling] = [shape for shape in chart.shapes if isinstance(shape, Text) and shape.text == "ceiling: 40"]
        [label] = [shape for shape in chart.shapes if isinstance(shape, Text) and shape.text == chart.y.label]
        assert ceiling.at[1] - label.at[1] > 15
        assert chart.columns == 1, "long names are in one column"
        markers = [shape for shape in chart.shapes if isinstance(shape, Polygon)]
        positions = [sum(x for x, _ in one.points) / len(one.points) for one in markers[: MAX_MARKERS // 2]]
        gaps = [right - left for left, right in pairwise(positions)]
        assert gaps == pytest.approx([gaps[0]] * len(gaps))
        assert gaps[0] > 20


def test_a_page_that_cannot_be_written_is_an_error(example: Path, tmp_path: Path) -> None:
    arguments = ["tune", str(example), "--devices", "200000", "--output", str(tmp_path / "no" / "page.html")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "page.html cannot be written: No such file or directory" in result.output


def test_the_page_is_written_before_the_tables_are_printed(example: Path, tmp_path: Path) -> None:
    """The page exists even if the reader of stdout closes the pipe, as `tune ... | head` does."""
    page = tmp_path / "page.html"
    command = [sys.executable, "-m", "hushtally", "tune", str(example), "--devices", "200000", "--output", str(page)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.wait(120)
    assert page.read_text(encoding="utf-8").rstrip().endswith("</html>")
