"""The privacy card: what an assessment needs is filled from the survey, and every gap is marked."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from click.testing import CliRunner

from hushtally.cli import main
from hushtally.client_sdk.explain.data_use import ARRIVAL_ORDER, DEVICE, data_after_withdrawal, sent_data
from hushtally.client_sdk.explain.disclosure import observer_conclusions
from hushtally.client_sdk.protocol.report import Batch, Report
from hushtally.client_sdk.survey import Survey
from hushtally.collector.vacuum import Vacuum
from hushtally.survey import commands
from hushtally.survey.card import card

EXAMPLE = commands.example(commands.EXAMPLE_STARTS)
PERMANENT = 'memory = "permanent"\nepsilon_permanent = 2.0\nchanges = 3'


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "survey.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    return path


def hushtally(*arguments):
    return CliRunner().invoke(main, ["survey", "card", *map(str, arguments)])


def test_the_card_has_what_an_assessment_needs(file):
    """Purpose, data, mechanism, guarantee, safeguards, retention, risks in figures, review date; gaps are marked."""
    result = hushtally(file)
    survey = Survey.load(file)
    assert result.exit_code == 0
    headings = [line[3:] for line in result.stdout.splitlines() if line.startswith("## ")]
    assert headings == [
        "Purpose",
        "Data",
        "Questions",
        "Mechanism and guarantee",
        "Safeguards",
        "Retention",
        "Risks",
        "Review",
    ]
    for part in (
        survey.purpose,
        survey.owner,
        survey.digest,
        "- purchase: the day, amount, category; for at most 365 days.",
        "| favourite | the most frequent purchase.category in the last 90 days |",
        "| frequency | direct | 1 | 0.4754 | 0.1749 | 4 |",
        "| How often you bought in the last 90 days (frequency) | none (orders_90d is 0), once (orders_90d is 1),"
        " regular (orders_90d is from 2 to 4), or heavy (the rest) |",
        "| Whether you bought in the last 30 days (returned), asked only in combination | yes (idle_days is below 30),"
        " or no (the rest) |",
        "(frequency_x_returned) | every combination of frequency and returned: none \\& yes, none \\& no, once",
        "- The proxy in front of the collector, which terminates TLS, logs addresses and times unless it is configured"
        " not to. What it logs, and for how long: _to be filled in_",
        "except that a request that is due waits until the app runs",
        "| Lifetime epsilon (all reports of this version from one device) | epsilon 7 |",
        "All reports of this version from one device together are bounded by epsilon 7, whatever the collector does."
        " The app's max_lifetime_epsilon, if set, bounds what one device reveals in all versions and surveys. Nothing"
        " bounds what several devices of one person reveal.",
        "- The app's max_lifetime_epsilon, if set: _to be filled in_",
        "| Later versions or other surveys ask the same device | each adds its own lifetime epsilon |",
        "| One person has several devices, or installs the app again | each adds epsilon 7 |",
        "- Recorded data has no influence on which questions a device answers, or when.",
        "in an app with keep_consent=True, consent to one version covers every later version",
        "The collector stores how often each symbol came, by question, week and cohorts (plain text). Of each batch it"
        " stores the random id, the reply, and the day on which it deletes both: when reports of the week are no longer"
        " accepted (after one to two weeks). It stores no network address, no user agent and no time of arrival.",
        "Afterwards the device still stores when you withdrew, its questions and weeks, which it answered,",
        "| Epsilon of one delivery | 1 |",
        "about you, platform (web, ios, android); about the answer, survey, version, digest, question, week,",
        "the number and schedule of requests are random and do not depend on recorded data",
        "- No estimate is published from fewer than 500 reports.",
        "- On the device: events for at most 365 days; randomized answers until they are delivered or the next week"
        " ends.",
        "the last of them on 2027-11-06",
        "| An observer collects all reports of one device | an observer who was 10% sure of a segment is at most 99.19%"
        " sure |",
        "| An observer sees one delivery: 1 report | an observer who was 10% sure of a segment is at most 24% sure |"
        " epsilon 1 for",
        "same device | 48 groups of devices, distinguished by what does not change: questions, phase and cohorts |",
        "| Cohorts, which are sent unrandomized, identify a customer | 3 combinations |",
        "by 2027-05-02, its last day",
        "- Legal basis: _to be filled in_",
    ):
        assert part in result.stdout, part


def test_the_card_quotes_the_consent_text():
    """Both say the same, in the same words; the card explains who "you" is."""
    survey = Survey.parse(EXAMPLE)
    text = card(survey)
    assert 'Lists that say "you" quote the consent text: "you" is the customer.' in text
    for line in (*sent_data(survey), *observer_conclusions(survey), data_after_withdrawal(survey)):
        assert line in text


def test_the_card_does_not_claim_that_the_customer_has_the_device():
    """In a web shop or at a kiosk the operator's machine stores the events."""
    text = card(Survey.parse(EXAMPLE))
    assert f"- {DEVICE}\n- Where the device is in this survey: _to be filled in_" in text
    assert "customer's device" not in text
    assert "it stores the recorded events: of one customer, or of all customers of a web shop or kiosk" in text


def test_the_order_of_arrival_is_described_as_the_collector_treats_it(monkeypatch):
    """The consent text and the card use one sentence; after an hour the collector rebuilds the file in any case."""
    assert "its file is rebuilt (up to 1 MB at the same time, otherwise normally within an hour)" in ARRIVAL_ORDER
    now = [0.0]
    monkeypatch.setattr("hushtally.collector.vacuum.monotonic", lambda: now[0])
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE big AS SELECT zeroblob(1000000) AS bytes")
        rebuilding = Vacuum(connection)
        assert rebuilding.run()
        connection.execute("INSERT INTO big VALUES ('one row')")
        connection.commit()
        now[0] = 3_599.0
        assert not rebuilding.due
        now[0] = 3_601.0
        assert rebuilding.due
    survey = Survey.parse(EXAMPLE)
    assert sent_data(survey)[-1].endswith(ARRIVAL_ORDER)
    assert f"- {ARRIVAL_ORDER} Both wait while another program reads the database" in card(survey)
    assert "no order" not in card(survey)


def test_the_forgery_figure_is_that_of_the_worst_question():
    """(1 - q) / (p - q) is 2.7 for direct response to 4 values at epsilon 1, and 3.0 for subset selection of 8."""
    assert (
        "| Forged reports shift a result | 3.0 points for each percent of forged reports (frequency_x_returned) |"
        in (card(Survey.parse(EXAMPLE)))
    )


def test_one_delivery_is_a_risk_with_all_its_reports():
    """The reports of a delivery travel together, so an observer does not have to link them."""
    text = card(Survey.parse(EXAMPLE.replace("questions_per_device = 1", "questions_per_device = 3")))
    sees = (
        "| An observer sees one delivery: 3 reports | an observer who was 10% sure of a segment is at most 70% sure |"
    )
    assert sees in text
    assert "- From one delivery (3 reports): at most 70% sure (epsilon 3)." in text
    assert "| Epsilon of one delivery | 3 |" in text


def test_a_survey_without_cohorts_still_sends_something_unrandomized():
    text = EXAMPLE.replace('platform = ["web", "ios", "android"]', "")
    everything = text.replace("questions_per_device = 1", "questions_per_device = 4").replace("answers_every = 4", "")
    written = card(Survey.parse(everything))
    assert "about you, nothing; about the answer, survey, version, digest, question, week, and a random" in written
    assert "identify a customer | none: the survey has no cohorts |" in written
    assert "same device | one group: questions, phase and cohorts are the same for all devices |" in written


def request_lengths(survey):
    """The lengths of all requests that a device can make, by question and cohort."""
    return {
        (question.id, *cohort.values()): {
            len(Batch("a" * 32, survey.id, 1, survey.digest, (Report(question.id, "2026-W48", cohort, one),)).encode())
            for one in range(question.mechanism.symbols)
        }
        for question in survey.asked
        for cohort in survey.all_cohorts()
    }


def test_the_card_says_what_the_length_of_a_request_shows():
    """It shows question and cohort if their names differ in length, and otherwise only the digits of the symbol."""
    text = card(Survey.parse(EXAMPLE))
    assert "| every device that agreed; the length depends on question, cohort and the digits of the symbol |" in text
    assert "TLS does not hide the length: it can show question and cohort if their names differ in length" in text
    lengths = request_lengths(Survey.parse(EXAMPLE))
    assert not lengths["affinity", "web"] & lengths["affinity", "android"]
    assert not lengths["affinity", "web"] & lengths["frequency_x_returned", "web"]
    even = EXAMPLE.replace('"ios", "android"', '"ios", "mac"')
    for name in ("frequency_x_returned", "frequency", "affinity", "basket"):
        even = even.replace(f'id = "{name}"', f'id = "{name[:6] if len(name) < 20 else "fxretd"}"')
    even = even.replace('cross = ["frequency"', 'cross = ["freque"')
    same = request_lengths(Survey.parse(even))
    assert len(set.union(*same.values())) == 2  # symbols of one and of two digits


def test_permanent_memory_is_a_risk_of_its_own():
    text = card(Survey.parse(EXAMPLE.replace('memory = "fresh"', PERMANENT)))
    assert "sees whether and when its answer changed | not bounded by epsilon; at most 3 new answers can follow" in text
    assert "| frequency | direct | 1 / 2 |" in text
    assert "The second epsilon is for all reports of one unchanged answer together." in text
    assert "or the next week ends; with permanent memory also every answer, until the survey ends.\n" in text
    scope = "for what was answered; whether and when an answer changed is not bounded"
    assert f"| Lifetime epsilon (all reports of this version from one device) | epsilon 8 {scope} |" in text
    assert f"| epsilon 8 {scope}; the device enforces it |" in text
    assert (
        "bounded by epsilon 8, whatever the collector does. This bounds what was answered. It does not bound whether"
        " and when an answer changed."
    ) in text
    for memory in ('memory = "fresh"', PERMANENT.replace("changes = 3", "changes = 0")):
        unchanging = card(Survey.parse(EXAMPLE.replace('memory = "fresh"', memory)))
        assert "sees whether" not in unchanging
        assert "answer changed" not in unchanging


def test_text_of_the_survey_is_never_markup():
    hostile = EXAMPLE.replace('title = "How people', 'title = "<script>|[x](y) *How* &lt; ~~a~~ \\\\|')
    shown = "# Privacy card: \\<script>\\|\\[x](y) \\*How\\* \\&lt; \\~\\~a\\~\\~ \\\\\\| shop with us"
    assert shown in card(Survey.parse(hostile))


@pytest.mark.parametrize("categories", [13, 60, 500])
def test_every_category_is_in_the_card(categories):
    names = [f"c{number}" for number in range(categories)]
    text = EXAMPLE.replace('"books", "music", "games"', ", ".join(f'"{name}"' for name in names))
    assert f"(affinity) | by favourite: {', '.join(names)}, or other" in card(Survey.parse(text))


def test_every_table_row_has_its_columns():
    rows = [line for line in card(Survey.parse(EXAMPLE)).splitlines() if line.startswith("|")]
    assert len(rows) > 20
    assert {line.replace("\\|", "").count("|") for line in rows} == {3, 4, 7}


def test_output_goes_to_a_new_file_only(file, tmp_path):
    """A card that was filled in by hand is not overwritten."""
    output = tmp_path / "card.md"
    result = hushtally(file, "--output", output)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"wrote {output}\n")
    assert output.read_text(encoding="utf-8") == card(Survey.load(file))
    output.write_text("filled in")
    result = hushtally(file, "--output", output)
    assert result.exit_code == 1
    expected = f"Error: {output} already exists and was not changed; give another name, or delete it first\n"
    assert result.stderr == expected
    assert output.read_text() == "filled in"


def test_an_output_that_cannot_be_written(file, tmp_path):
    result = hushtally(file, "--output", tmp_path / "none" / "card.md")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {tmp_path}/none/card.md cannot be written: No such file or directory\n"
    result = hushtally(file, "--output", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {tmp_path} is a directory; give a file name, such as {tmp_path}/card.md\n"


@pytest.mark.parametrize("command", [["new", "{0}"], ["card", "survey.toml", "--output", "{0}"]])
def test_a_file_that_cannot_be_written_whole_is_removed(file, tmp_path, command):
    """A file system without room leaves one line and no part of a file."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000));"
        "from hushtally.cli import main; main(sys.argv[1:])"
    )
    arguments = [argument.format("part") for argument in command]
    done = subprocess.run(
        [sys.executable, "-c", code, "survey", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: part cannot be written: File too large\n"
    assert not (tmp_path / "part").exists()


def test_a_single_day_report_or_combination_is_singular():
    short = EXAMPLE.replace("days = 90", "days = 1").replace("days = 365", "days = 1")
    for name, number in (("retention_days", 180), ("min_reports", 500)):
        short = short.replace(f"{name} = {number}", f"{name} = 1")
    text = card(Survey.parse(short.replace('["web", "ios", "android"]', '["web"]')))
    assert "| 1 combination |" in text
    assert "on the day of the answer |" in text
    assert "for at most 1 day;" in text
    assert "deleted 1 day later" in text
    assert "from fewer than 1 report." in text
