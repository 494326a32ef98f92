import json
import random

import pytest

from hushtally.client_sdk.errors import BatchError
from hushtally.client_sdk.protocol.report import MAX_REPORTS, Batch, Report

REPORT = {"question": "q", "epoch": "2026-W45", "cohort": {"platform": "web"}, "symbol": 7}
BATCH = {"batch": "0123456789abcdef" * 2, "survey": "s", "version": 1, "digest": "d" * 64, "reports": [REPORT]}


def body(**changes):
    return json.dumps({**BATCH, **changes}).encode()


def report(**changes):
    return body(reports=[REPORT, {**REPORT, **changes}])


def without(table, name):
    return {key: value for key, value in table.items() if key != name}


JSON = "the body must be JSON in UTF-8"
INTEGER = "must be an integer from 0 to 2^53 - 1"
TEXT = "must be a string of at most 100 printable characters"
LONG = "1" * 60


@pytest.mark.parametrize(
    ("bytes_", "message"),
    [
        (b"", JSON),
        (b"{", JSON),
        (b"nonsense", JSON),
        (body() + b"x", JSON),
        (b"\xef\xbb\xbf" + body(), JSON),
        (body().decode().encode("utf-16"), JSON),
        (body().decode().encode("utf-32-be"), JSON),
        (body(survey="?").replace(b"?", b"\xff"), JSON),
        (body(survey="?").replace(b"?", b"\xed\xa0\x80"), JSON),
        (body(survey="?").replace(b"?", b"\xc0\x80"), JSON),
        (body(survey="?").replace(b"?", b"\n"), JSON),
        (b"[" * 100_000, JSON),
        (b'{"batch":' * 50_000, JSON),
        (b'{"version": ' + b"9" * 5000 + b"}", JSON),
        (body(version=float("nan")), "every number must be an integer, got 'NaN'"),
        (body(version=float("inf")), "every number must be an integer, got 'Infinity'"),
        (report(symbol=-float("inf")), "every number must be an integer, got '-Infinity'"),
        (report(symbol=1.0), "every number must be an integer, got '1.0'"),
        (body().replace(b"7", b"1e3"), "every number must be an integer, got '1e3'"),
        (body().replace(b"7", b"0." + LONG.encode()), f"every number must be an integer, got '0.{'1' * 54}..."),
        (body()[:-1] + b', "version": 1}', "the field 'version' occurs twice"),
        (body().replace(b'"symbol"', b'"symbol": 1, "symbol"'), "the field 'symbol' occurs twice"),
        (body().replace(b'{"platform"', b'{"platform": "ios", "platform"'), "the field 'platform' occurs twice"),
        (body().replace(b'{"platform"', b'{"platfor\\u006d": "", "platform"'), "the field 'platform' occurs twice"),
        (b"[]", "the batch must be an object"),
        (b"null", "the batch must be an object"),
        (b'"text"', "the batch must be an object"),
        (b"{}", "the batch is missing batch, survey, version, digest, reports"),
        (body(user="me"), "the batch has an unknown field: 'user'"),
        (body(zz=1, aa=1), "the batch has an unknown field: 'aa'"),
        (body(**{LONG: 1}), f"the batch has an unknown field: '{'1' * 56}..."),
        (body(**{"\n": 1}), "the batch has an unknown field: '\\n'"),
        *((json.dumps(without(BATCH, name)).encode(), f"the batch is missing {name}") for name in BATCH),
        *((body(batch=one), "batch must be 32 lowercase hexadecimal digits")
          for one in (None, 7, "", "0" * 31, "0" * 33, "0" * 31 + "A", "0" * 31 + "g", "0" * 32 + "\n", "٣" * 32)),
        *((body(survey=one), f"survey {TEXT}") for one in (None, 7, [], {}, True, "x" * 101, "a\nb", "\ud800", "\x00")),
        *((body(digest=one), f"digest {TEXT}") for one in (None, 7, "x" * 101)),
        *((body(version=one), f"version {INTEGER}") for one in (None, "1", [], True, False, -1, 2**53, 10**1000)),
        *((body(reports=one), "reports must be a list of 1 to 1,000 reports")
          for one in (None, {}, "x", 1, [], [REPORT] * (MAX_REPORTS + 1))),
        *((body(reports=[REPORT, one]), "reports[1] must be an object") for one in (None, [], 1, "x", True)),
        (report(user="me"), "reports[1] has an unknown field: 'user'"),
        (body(reports=[{}]), "reports[0] is missing question, epoch, cohort, symbol"),
        *((body(reports=[without(REPORT, name)]), f"reports[0] is missing {name}") for name in REPORT),
        *((report(question=one), f"reports[1].question {TEXT}") for one in (None, 1, ["q"], "x" * 101, "\u202e")),
        *((report(epoch=one), f"reports[1].epoch {TEXT}") for one in (None, 202645, {"e": 1}, "x" * 101)),
        *((report(cohort=one), "reports[1].cohort must be an object with string values")
          for one in (None, [], "web", 1, {"platform": None}, {"platform": 1}, ["web"], {"a": {"b": "c"}})),
        *((report(symbol=one), f"reports[1].symbol {INTEGER}")
          for one in (None, "7", [7], True, False, -1, 2**53, -(2**63), 10**4000)),
    ],
)  # fmt: skip
def test_an_invalid_batch_is_refused_with_the_place(bytes_, message):
    """Everything except the declared fields with values of their types is a BatchError with its place and reason."""
    with pytest.raises(BatchError) as caught:
        Batch.decode(bytes_)
    assert str(caught.value) == message


def test_a_batch_is_decoded_field_by_field():
    """Every field of the JSON is in the batch. The limits of every range are valid."""
    longest = "é" * 100
    decoded = Batch.decode(report(symbol=2**53 - 1, question=longest, cohort={}))
    assert decoded == Batch(
        BATCH["batch"],
        "s",
        1,
        "d" * 64,
        (Report("q", "2026-W45", {"platform": "web"}, 7), Report(longest, "2026-W45", {}, 2**53 - 1)),
    )
    assert len(Batch.decode(body(reports=[REPORT] * MAX_REPORTS)).reports) == MAX_REPORTS


def any_batch(source):
    def text():
        return "".join(source.choices('abz09_-.é\U0001f600"\\/ ', k=source.randint(0, 9)))

    def one():
        cohort = {text(): text() for _ in range(source.randint(0, 3))}
        return Report(text(), text(), cohort, source.randrange(2**53) >> source.randrange(53))

    reports = tuple(one() for _ in range(source.randint(1, 5)))
    return Batch(f"{source.getrandbits(128):032x}", text(), source.randrange(2**53), text(), reports)


def test_a_batch_has_one_encoding_that_decodes_to_the_same_batch():
    """The encoding does not depend on the order of the cohorts."""
    source = random.Random(3)
    for _ in range(500):
        batch = any_batch(source)
        encoded = batch.encode()
        decoded = Batch.decode(encoded)
        assert decoded == batch
        assert decoded.encode() == encoded
        reordered = tuple(
            Report(one.question, one.epoch, dict(reversed(one.cohort.items())), one.symbol) for one in batch.reports
        )
        assert Batch(batch.id, batch.survey, batch.version, batch.digest, reordered).encode() == encoded


def test_the_order_of_fields_and_white_space_make_no_difference():
    """Every JSON text of the same object is the same batch."""
    reordered = json.dumps({**dict(reversed(BATCH.items())), "reports": [dict(reversed(REPORT.items()))]}, indent=3)
    assert Batch.decode(reordered.encode()) == Batch.decode(body())


def test_random_damage_is_a_batch_error_or_a_valid_batch():
    """Bytes are changed, deleted or repeated at random. The result is BatchError, or a batch that can be encoded."""
    source = random.Random(4)
    valid = body(reports=[REPORT] * 3)
    messages = set()
    for _ in range(5000):
        damaged = bytearray(valid)
        for _ in range(source.randint(1, 3)):
            at, to = source.randrange(len(damaged)), source.randrange(len(damaged))
            match source.randrange(4):
                case 0:
                    damaged[at] = source.randrange(256)
                case 1:
                    damaged[at] = source.choice(b'{}[]",:0-.eE tnfNI\\u')
                case 2:
                    del damaged[min(at, to) : min(at, to) + source.randint(1, 20)]
                case _:
                    damaged[at:at] = damaged[min(at, to) : max(at, to)]
            damaged = damaged or bytearray(b" ")
        try:
            batch = Batch.decode(bytes(damaged))
        except BatchError as error:
            messages.add(str(error))
        else:
            assert Batch.decode(batch.encode()) == batch
    assert len(messages) > 30
    assert all(message.isprintable() and len(message) < 200 for message in messages)
