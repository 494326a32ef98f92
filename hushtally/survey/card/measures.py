"""The measures that the software enforces, each with the tests that demonstrate it."""

from __future__ import annotations

from typing import NamedTuple

from hushtally.client_sdk.explain.data_use import ARRIVAL_ORDER, data_after_withdrawal
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey


class Measure(NamedTuple):
    """A measure in words, and where it is demonstrated: tests in the repository of hushtally, and commands."""

    measure: str
    demonstrated: tuple[str, ...]


def enforced_measures(survey: Survey) -> list[Measure]:
    """The measures that hold for this survey without anybody's discipline."""
    return [*_on_the_device(survey), *_at_the_collector(survey)]


def _on_the_device(survey: Survey) -> list[Measure]:
    return [
        Measure(
            "Consent first: before it, nothing is recorded or sent. Consent is bound to the survey's digest: after any"
            " change, customers are asked again. Exception: in an app with keep_consent=True, consent to one version"
            " covers every later version, even if it reveals more.",
            ("tests/client_sdk/device/test_consent.py",),
        ),
        Measure(
            "Each answer is randomized on the device. Its epsilon is exact.",
            ("tests/client_sdk/mechanisms/test_proof.py", "hushtally audit"),
        ),
        Measure(
            "The device records the epsilon spent in a ledger and enforces the privacy budget.",
            ("tests/client_sdk/state/test_ledger.py", "tests/client_sdk/device/test_attack_averaging.py"),
        ),
        Measure(
            "With a restored, copied or damaged state file the device stays silent.",
            ("tests/client_sdk/state/test_copies.py", "tests/client_sdk/device/test_attack_restores.py"),
        ),
        Measure(
            "Recorded values never leave the state file. A report has no field for a person.",
            ("tests/test_canary.py", "tests/client_sdk/delivery/test_traffic.py"),
        ),
        Measure(
            "Recorded data has no influence on which questions a device answers, or when. A device without events"
            " answers like any other.",
            ("tests/client_sdk/device/test_attack_traffic.py",),
        ),
        Measure(
            f"A withdrawal erases events, answers and outbox from the device's file. {data_after_withdrawal(survey)}",
            ("tests/client_sdk/state/test_erasure.py",),
        ),
        Measure(
            "DO_NOT_TRACK=1 and HUSHTALLY_DISABLED=1 override consent.",
            ("tests/client_sdk/device/test_device.py",),
        ),
    ]


def _at_the_collector(survey: Survey) -> list[Measure]:
    epoch = survey.epoch
    return [
        Measure(
            f"The collector stores how often each symbol came, by question, {epoch} and cohorts (plain text). Of each"
            " batch it stores the random id, the reply, and the day on which it deletes both: when reports of the"
            f" {epoch} are no longer accepted (after one to two {epoch}s). It stores no network address, no user agent"
            " and no time of arrival.",
            ("tests/collector/test_serve.py", "tests/collector/test_store.py"),
        ),
        Measure(
            f"{ARRIVAL_ORDER} Both wait while another program reads the database or the disk is full, and after a crash"
            " until the collector starts again.",
            ("tests/collector/test_vacuum.py", "tests/collector/test_housekeeping.py"),
        ),
        Measure(
            "An acknowledged batch is counted exactly once.",
            ("tests/collector/test_writer.py", "tests/client_sdk/delivery/test_retries.py"),
        ),
        Measure(
            f"Counts are deleted {counted(survey.retention_days, 'day')} after reports of their {epoch} were last"
            " accepted.",
            ("tests/collector/test_purge.py",),
        ),
        Measure(
            f"No estimate is published from fewer than {counted(survey.min_reports, 'report')}.",
            ("tests/aggregator/test_estimate_command.py",),
        ),
        Measure(
            "A 95% interval contains the true value 95% of the time, so that a decision does not rest on noise.",
            ("tests/aggregator/test_intervals.py", "tests/simulations/demo/test_coverage.py"),
        ),
    ]
