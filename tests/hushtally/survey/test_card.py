import pytest
from click.testing import CliRunner

from hushtally.cli import main
from hushtally.client_sdk.protocol.report import Batch, Report
from hushtally.client_sdk.survey import Survey
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


def test_it_holds_what_an_assessment_asks_for(file):
    """Purpose, data, mechanism, guarantee, safeguards, retention, risks in figures, review date; gaps are marked."""
    result = hushtally(file)
    survey = Survey.load(file)
    assert result.exit_code == 0
    headings = [line[3:] for line in result.stdout.splitlines() if line.startswith("## ")]
    assert headings == [
        "Purpose",
        "Data used",
        "Questions",
        "Mechanism and guarantee",
        "Safeguards",
        "Retention",
        "Risks, and how large they are",
        "Review",
    ]
    for part in (
        survey.purpose,
        survey.owner,
        survey.digest,
        "- purchase: the day, amount, category; for 365 days at most.",
        "| favourite | top of purchase.category, last 90 days |",
        "| frequency | direct | 1 | 0.4754 | 0.1749 | 4 |",
        "| How often you bought in the last 90 days (frequency) | none (orders_90d is 0), once (orders_90d is 1),"
        " regular (orders_90d from 2 to 4), or heavy (the rest) |",
        "| Whether you bought in the last 30 days (returned), only crossed: not asked on its own | yes (idle_days under"
        " 30), or no (the rest) |",
        "(frequency_x_returned) | every combination of frequency and returned |",
        "- The proxy in front of the collector, which ends TLS, logs addresses and times unless it is told not to. What"
        " it logs, and how long that is kept: _to be filled in_",
        "though a request whose time has come waits for the app to run",
        "| All reports of this version from one device | epsilon 7 |",
        "all reports of this version from one device together are bounded by epsilon 7, whatever the collector does."
        " What a device reveals under several versions is bounded by the app's max_lifetime_epsilon, if it sets one;"
        " what several devices of one person reveal is not bounded.",
        "- The app's max_lifetime_epsilon, if it sets one: _to be filled in_",
        "| Later versions, or other surveys, ask the same device | each adds its own epsilon over all its reports |",
        "| One person has several devices, or installs the app anew | each adds epsilon 7 |",
        "- Which questions a device answers, and when, does not depend on what was recorded;",
        "unless the app was built with keep_consent=True: then consent to one version holds for every later one",
        "The collector stores counts of each symbol by question, week and cohorts, which are plain text, and of"
        " each batch its random id with the answer it got and the day on which both go, until its week can be counted"
        " no more (one to two weeks); no address, agent, time or order.",
        "What stays on the device: when that was, its questions and weeks, which it answered,",
        "| Epsilon of one delivery | 1 |",
        "of the customer platform (web, ios, android); of the report survey, version, digest, question, epoch,",
        "number and schedule of its requests are drawn by chance, never from what the customer did",
        "- No estimate is published from fewer than 500 reports.",
        "- On the device: events for at most 365 days; randomized answers until they are delivered or the next week"
        " ends.",
        "the last of them are deleted on 2027-11-06",
        "| Someone keeps all reports of one device | who was 10% sure of a segment is at most 99.19% sure |",
        "| Someone sees one delivery: 1 report | who was 10% sure of a segment is at most 24% sure | epsilon 1 of",
        "same device | 48 groups of devices, told apart by what lasts: questions, phase and cohorts |",
        "| Cohorts, in the clear, single a customer out | 3 combinations |",
        "By 2027-05-02, the survey's last day",
        "- Legal basis: _to be filled in_",
    ):
        assert part in result.stdout, part


def test_the_forgery_figure_is_that_of_the_worst_question():
    """(1 - q) / (p - q) for direct response on 4 values at epsilon 1 is 2.7; on 8 values subset selection has 3.0."""
    assert (
        "| Forged reports shift a result | 3.0 points for each percent of forged reports (frequency_x_returned) |"
        in (card(Survey.parse(EXAMPLE)))
    )


def test_one_delivery_is_told_with_all_its_reports():
    """They travel together: nobody has to link anything."""
    text = card(Survey.parse(EXAMPLE.replace("questions_per_device = 1", "questions_per_device = 3")))
    assert "| Someone sees one delivery: 3 reports | who was 10% sure of a segment is at most 70% sure |" in text
    assert "- From one delivery (3 reports): at most 70% sure (epsilon 3)." in text
    assert "| Epsilon of one delivery | 3 |" in text


def test_a_survey_without_cohorts_is_not_said_to_send_nothing_in_the_clear():
    text = EXAMPLE.replace('platform = ["web", "ios", "android"]', "")
    everything = text.replace("questions_per_device = 1", "questions_per_device = 4").replace("answers_every = 4", "")
    told = card(Survey.parse(everything))
    assert (
        "in the clear: of the customer nothing; of the report survey, version, digest, question, epoch, and a" in told
    )
    assert "| Cohorts, in the clear, single a customer out | none: the survey has no cohorts |" in told
    assert "same device | one group: no question, phase or cohort tells devices apart |" in told


def lengths(survey):
    """The lengths of all requests that a device may make for a question and cohort."""
    return {
        (question.id, *cohort.values()): {
            len(Batch("a" * 32, survey.id, 1, survey.digest, (Report(question.id, "2026-W48", cohort, one),)).encode())
            for one in range(question.mechanism.symbols)
        }
        for question in survey.asked
        for cohort in survey.all_cohorts()
    }


def test_what_the_length_of_a_request_tells_is_told():
    """It tells questions and cohorts apart; where their names are equally long, no more than the symbol's digits."""
    text = card(Survey.parse(EXAMPLE))
    assert "| every device that agreed; the length differs with question, cohort and the digits of the symbol |" in text
    assert (
        "TLS hides no length: who measures it may tell question and cohort, where their names are not equally" in text
    )
    told = lengths(Survey.parse(EXAMPLE))
    assert not told["affinity", "web"] & told["affinity", "android"]
    assert not told["affinity", "web"] & told["frequency_x_returned", "web"]
    even = EXAMPLE.replace('"ios", "android"', '"ios", "mac"')
    for name in ("frequency_x_returned", "frequency", "affinity", "basket"):
        even = even.replace(f'id = "{name}"', f'id = "{name[:6] if len(name) < 20 else "fxretd"}"')
    even = even.replace('cross = ["frequency"', 'cross = ["freque"')
    same = lengths(Survey.parse(even))
    assert len(set.union(*same.values())) == 2  # symbols of one and of two digits


def test_permanent_memory_is_a_risk_of_its_own():
    text = card(Survey.parse(EXAMPLE.replace('memory = "fresh"', PERMANENT)))
    assert "sees whether and when its answer changed | not bounded by epsilon; at most 3 new answers can follow" in text
    assert "| frequency | direct | 1 / 2 |" in text
    assert "or the next week ends; with permanent memory also every answer, until the survey ends.\n" in text
    caveat = "for what was answered, and no bound on whether and when an answer changed"
    assert f"| All reports of this version from one device | epsilon 8 {caveat} |" in text
    assert f"| epsilon 8 {caveat}; enforced on the device |" in text
    assert (
        "bounded by epsilon 8, whatever the collector does, in what they tell of what was answered; whether and when an"
        " answer changed is not bounded."
    ) in text
    for memory in ('memory = "fresh"', PERMANENT.replace("changes = 3", "changes = 0")):
        unchanging = card(Survey.parse(EXAMPLE.replace('memory = "fresh"', memory)))
        assert "sees whether" not in unchanging
        assert "answer changed" not in unchanging


def test_texts_of_the_survey_are_no_markup():
    hostile = EXAMPLE.replace('title = "How people', 'title = "<script>|[x](y) *How* &lt; ~~a~~ \\\\|')
    shown = "# Privacy card: \\<script>\\|\\[x](y) \\*How\\* \\&lt; \\~\\~a\\~\\~ \\\\\\| shop with us"
    assert shown in card(Survey.parse(hostile))


def test_every_category_is_told():
    """However many they are: who reviews a survey reads all of them."""
    names = [f"c{number}" for number in range(30)]
    text = EXAMPLE.replace('"books", "music", "games"', ", ".join(f'"{name}"' for name in names))
    assert f"(affinity) | favourite is {', '.join(names)}, or other" in card(Survey.parse(text))


def test_every_table_row_has_its_columns():
    rows = [line for line in card(Survey.parse(EXAMPLE)).splitlines() if line.startswith("|")]
    assert len(rows) > 20
    assert {line.replace("\\|", "").count("|") for line in rows} == {3, 4, 7}


def test_output_to_a_new_file_alone(file, tmp_path):
    """What was filled in by hand is not overwritten."""
    output = tmp_path / "card.md"
    result = hushtally(file, "--output", output)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"wrote {output}\n")
    assert output.read_text(encoding="utf-8") == card(Survey.load(file))
    output.write_text("filled in")
    result = hushtally(file, "--output", output)
    assert result.exit_code == 1
    assert "is there already; what was filled in by hand is not overwritten" in result.stderr
    assert output.read_text() == "filled in"


def test_an_output_that_cannot_be_written(file, tmp_path):
    result = hushtally(file, "--output", tmp_path / "none" / "card.md")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {tmp_path}/none/card.md cannot be written: No such file or directory\n"


def test_one_day_is_no_plural():
    """Of everything that may be kept for a day, or be published from one report, or be one combination."""
    short = EXAMPLE.replace("days = 90", "days = 1").replace("days = 365", "days = 1")
    for name, number in (("retention_days", 180), ("min_reports", 500)):
        short = short.replace(f"{name} = {number}", f"{name} = 1")
    text = card(Survey.parse(short.replace('["web", "ios", "android"]', '["web"]')))
    assert "| 1 combination |" in text
    assert "last 1 day |" in text
    assert "for at most 1 day;" in text
    assert "kept for 1 day after that" in text
    assert "from fewer than 1 report." in text
