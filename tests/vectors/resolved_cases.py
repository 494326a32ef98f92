"""Cases for resolved surveys: surveys, and surveys that a client must refuse although their digest is right."""

from __future__ import annotations

from decimal import Context, Decimal
from math import floor
from typing import Any

from device_cases import RAPPOR, everything, permanent
from edited import REMOVED
from mechanism_cases import MECHANISMS, SURVEY
from odd_values import COMPOSED, DECOMPOSED, NOTE

# JSON with its canonical form
CANONICAL: list[tuple[str, str]] = [
    ('{ "b" : 1, "a" : [ true, false, null ] }', '{"a":[true,false,null],"b":1}'),
    ("[1.0, -0.0, 1e3, 100, 9007199254740991, -9007199254740991]", "[1,0,1000,100,9007199254740991,-9007199254740991]"),
    ("[0.1, 0.30000000000000004, 1.5, 1234.5678, -2.25]", "[0.1,0.30000000000000004,1.5,1234.5678,-2.25]"),
    ("[0.0001, 0.00001, 0.000001, 0.0000001]", "[0.0001,0.00001,0.000001,1e-7]"),
    ("[1.25e-5, -1.25e-6, 1.25e-7, 5e-324]", "[0.0000125,-0.00000125,1.25e-7,5e-324]"),
    ("[123456789012.345, 999999999999999.9, 2.2250738585072014e-308]",
     "[123456789012.345,999999999999999.9,2.2250738585072014e-308]"),
    (r'["\u0000\u0007\b\t\n\u000b\f\r\u001f \" \\ \/ \u007f\u0080\u2028\ud83c\udfb5"]',
     '["\\u0000\\u0007\\b\\t\\n\\u000b\\f\\r\\u001f \\" \\\\ / \x7f\x80\u2028\U0001f3b5"]'),
    (f'["{COMPOSED}", "{DECOMPOSED}", "<&>\'"]', f'["{COMPOSED}","{DECOMPOSED}","<&>\'"]'),
    # keys are sorted by UTF-16 code units: the note, a surrogate pair, comes before U+FB33
    (f'{{"\ufb33": 1, "{NOTE}": 2, "z": 3, "é": 4, "": 5, "A": 6, "a": 7, "10": 8, "2": 9}}',
     f'{{"":5,"10":8,"2":9,"A":6,"a":7,"z":3,"é":4,"{NOTE}":2,"\ufb33":1}}'),
    ('{"constructor": 1, "__proto__": {"toString": 2}}', '{"__proto__":{"toString":2},"constructor":1}'),
    ("[]", "[]"),
    ('{"a": {}, "b": [[]]}', '{"a":{},"b":[[]]}'),
]  # fmt: skip
INVALID_CANONICAL = ["[9007199254740992]", "[-9007199254740992]", "[1e16]", "[1e400]", "[NaN]", r'["\ud83c"]']

ONCE = [SURVEY.format("", "", stated) for stated in MECHANISMS.values()]
LASTING = 'memory = "permanent"\nepsilon_permanent = 2.2\nchanges = 3'
UNUSUAL = f"""
id = "unusual.text_1-2"
version = 1000000
title = "  {COMPOSED} {DECOMPOSED} {NOTE} \\"quotes\\" and / and \\\\ "
purpose = "<b>&amp;</b> $\u007b'\u007d"
owner = "0"
starts = 2027-12-01
ends = 2028-11-30
epoch = "month"
retention_days = 3660
min_reports = 1
[privacy]
epsilon = 0.30000000000000004
questions_per_device = 2
answers_every = 5
[cohorts]
constructor = ["{COMPOSED}", "{DECOMPOSED}"]
_ = [" ", "\\""]
[signals]
__proto__ = {{ top = "toString.valueOf", days = 3660 }}
x_1 = {{ sum = "purchase.amount", days = 1 }}
[[questions]]
id = "edges"
title = "{NOTE}"
number = "max([x_1 // 1e-3, -1_000,])"
edges = [-1e15, -0.5, 0.0, 1e-7, 0.000001, 2.5, 99999999999999.5, 1e15]
epsilon = 8
[[questions]]
id = "3.d"
one_of = "__proto__"
categories = [" ", "{COMPOSED}", "{DECOMPOSED}", "constructor", "__proto__"]
[[questions]]
id = "hidden"
segments = [ {{ id = "a", when = "x_1 in (1,)" }}, {{ id = "0" }} ]
only_crossed = true
epsilon = 7
[[questions]]
id = "small"
segments = [ {{ id = "a", when = "x_1 in [+1, -1e-3]" }}, {{ id = "0" }} ]
epsilon = 0.01
[[questions]]
id = "joint"
cross = ["hidden", "3.d"]
"""
SURVEYS = [
    everything("questions_per_device = 4\nanswers_every = 3"),
    everything(epoch="day"),
    permanent(3, questions=2),
    permanent(0, RAPPOR),
    UNUSUAL,
    *ONCE,
    *(SURVEY.format("", LASTING, stated) for stated in MECHANISMS.values()),
]
ALL, DAILY, PERMANENT, RAPPORED, ODD = range(5)
NAMED = {name: len(SURVEYS) - 2 * len(MECHANISMS) + index for index, name in enumerate(MECHANISMS)}
KEPT = {name: len(SURVEYS) - len(MECHANISMS) + index for index, name in enumerate(MECHANISMS)}


def weights(epsilon: str) -> list[int]:
    """near and far."""
    digits = Context(prec=50)
    return [floor(digits.multiply(digits.exp(Decimal(epsilon)), 2**32)), 2**32]


def question(number: int, *place: Any) -> list[Any]:
    return ["questions", number, *place]


def named(number: int, *place: Any) -> list[Any]:
    return ["questions", number, "mechanism", *place]


def equal_names(questions: list[Any]) -> list[Any]:
    """The first two questions with categories, so that their cross has the name "a & b & c" twice."""
    first, second, *others = questions
    rest = {name: first[name] for name in ("id", "epsilon", "only_crossed", "mechanism")}
    first = {"one_of": "favourite", "categories": ["a", "a & b"], **rest}
    return [first, {**second, "categories": ["b & c", "c", "d", "e"]}, *others]


# what is wrong, the number of a survey, and the change: a place in the resolved survey, and what is there instead
INVALID: list[tuple[str, int, list[Any], Any]] = [
    ("the weights give epsilon 11.5, and the survey declares 1.1", NAMED["direct"], named(0, "weights"),
     weights("11.5")),
    ("near is larger by one", NAMED["direct"], named(0, "weights"), [weights("1.1")[0] + 1, 2**32]),
    ("near is smaller by one", NAMED["subset"], named(0, "weights"), [weights("1.1")[0] - 1, 2**32]),
    ("the same odds in lower terms", NAMED["oue"], named(0, "truth"), [2, 4]),
    ("far is another power of two", NAMED["affine"], named(0, "weights"), [weights("1.1")[0] * 2, 2**33]),
    ("weights as strings", NAMED["direct"], named(0, "weights"), [str(one) for one in weights("1.1")]),
    ("no weights", NAMED["projective"], named(0, "weights"), REMOVED),
    ("another epsilon than that of the weights", NAMED["direct"], question(0, "epsilon"), 1.0),
    ("weights of the survey's epsilon, not of the question's", ALL, named(2, "weights"), weights("1.5")),
    ("another number of symbols", NAMED["subset"], named(0, "symbols"), 11),
    ("truth of sue", NAMED["sue"], named(0, "truth"), [9, 10]),
    ("others of oue", NAMED["oue"], named(0, "others"), [1, 1000]),
    ("weights of permanent memory", KEPT["direct"], named(0, "permanent_weights"), weights("6")),
    ("coins of permanent memory", KEPT["oue"], named(0, "permanent_truth"), [99, 100]),
    ("other coins of permanent memory", KEPT["sue"], named(0, "permanent_others"), [1, 100]),
    ("gamma is 1", KEPT["direct"], named(0, "gamma"), str(2**64)),
    ("gamma is larger by one", KEPT["subset"], named(0, "gamma"), lambda gamma: str(int(gamma) + 1)),
    ("gamma is a number", KEPT["affine"], named(0, "gamma"), 2**50),
    ("permanent memory without gamma", KEPT["direct"], named(0, "gamma"), REMOVED),
    ("gamma without permanent memory", NAMED["direct"], named(0, "gamma"), str(2**63)),
    ("a coin of rappor", NAMED["rappor"], named(0, "set"), [99, 100]),
    ("a permanent coin of rappor", KEPT["rappor"], named(0, "permanent_unset"), [1, 100]),
    ("parameters of rappor that exceed epsilon", NAMED["rappor"], named(0), {
        "name": "rappor", "k": 32, "h": 2, "m": 64, "f": 0.5, "p": 0.25, "q": 0.75, "symbols": 64 * 2**32,
        "permanent_set": [3, 4], "permanent_unset": [1, 4], "set": [3, 4], "unset": [1, 4]}),
    ("an unknown field of a mechanism", NAMED["direct"], named(0, "salt"), 7),
    ("an unknown mechanism", NAMED["direct"], named(0, "name"), "laplace"),
    ("a name that objects have", NAMED["direct"], named(0, "name"), "constructor"),
    ("the automatic choice", NAMED["direct"], named(0), {"name": "auto"}),
    ("a mechanism that is only named", NAMED["direct"], named(0), "direct"),
    ("w is not below the number of segments", NAMED["subset"], named(0, "w"), 5),
    ("r is not a prime", NAMED["affine"], named(0, "r"), 15),
    ("an unknown field", ALL, ["salt"], 1),
    ("a field is missing", ALL, ["retention_days"], REMOVED),
    ("an unknown field of privacy", ALL, ["privacy", "delta"], 0),
    ("an unknown field of a question", ALL, question(0, "weight"), 1),
    ("an unknown field of a segment", ALL, question(0, "segments", 0, "label"), "x"),
    ("an unknown field of a signal", ALL, ["signals", "orders", "where"], "x"),
    ("the version as a string", ALL, ["version"], "2"),
    ("true as a version", ALL, ["version"], True),
    ("an empty title", ALL, ["title"], ""),
    ("a title of spaces", ALL, ["title"], "  "),
    ("a title of two lines", ALL, ["title"], "a\nb"),
    ("a title with an invisible character", ALL, ["title"], "a\u202eb"),
    ("an upper-case id", ALL, ["id"], "Everything"),
    ("an id that begins with a point", ALL, ["id"], ".everything"),
    ("starts within an epoch", ALL, ["starts"], "2026-11-03"),
    ("ends within an epoch", ALL, ["ends"], "2026-11-28"),
    ("ends before starts", ALL, ["ends"], "2026-11-01"),
    ("a day that does not exist", DAILY, ["ends"], "2026-11-31"),
    ("a date without dashes", DAILY, ["ends"], "20261129"),
    ("more than 366 days", DAILY, ["ends"], "2027-11-03"),
    ("an unknown epoch", ALL, ["epoch"], "year"),
    ("an epsilon of 0", ALL, ["privacy", "epsilon"], 0),
    ("an epsilon as a string", ALL, ["privacy", "epsilon"], "1.5"),
    ("more questions per device than are asked", ALL, ["privacy", "questions_per_device"], 5),
    ("an unknown memory", ALL, ["privacy", "memory"], "forgetful"),
    ("changes without permanent memory", ALL, ["privacy", "changes"], 1),
    ("permanent memory without changes", PERMANENT, ["privacy", "changes"], REMOVED),
    ("epsilon_permanent below epsilon", PERMANENT, ["privacy", "epsilon_permanent"], 0.5),
    ("epsilon_permanent of a question below its epsilon", PERMANENT, question(0, "epsilon_permanent"), 0.5),
    ("a question without epsilon_permanent", PERMANENT, question(0, "epsilon_permanent"), REMOVED),
    ("epsilon_permanent without permanent memory", ALL, question(0, "epsilon_permanent"), 2),
    ("a cohort without values", ALL, ["cohorts", "platform"], []),
    ("a cohort with a value twice", ALL, ["cohorts", "platform"], ["web", "web"]),
    ("the name of a cohort with a dash", ALL, ["cohorts", "plat-form"], ["web"]),
    ("65 combinations of cohorts", ALL, ["cohorts"], {"a": list("abcdefghijklm"), "b": list("abcde")}),
    ("a signal with two functions", ALL, ["signals", "orders", "sum"], "purchase.amount"),
    ("an unknown function", ALL, ["signals", "orders"], {"median": "purchase.amount", "days": 7}),
    ("count of a field", ALL, ["signals", "orders", "count"], "purchase.amount"),
    ("sum of an event", ALL, ["signals", "spend", "sum"], "purchase"),
    ("a signal without days", ALL, ["signals", "orders", "days"], REMOVED),
    ("a signal with the name of a function", ALL, ["signals", "len"], {"count": "purchase", "days": 7}),
    ("a signal with the name of a keyword", ALL, ["signals", "lambda"], {"count": "purchase", "days": 7}),
    ("no question", ALL, ["questions"], []),
    ("two questions with one id", ALL, question(1, "id"), "zebra"),
    ("a question twice", ALL, ["questions"], lambda questions: [*questions, questions[2]]),
    ("two forms", ALL, question(0, "one_of"), "favourite"),
    ("no form", ALL, question(3, "cross"), REMOVED),
    ("a rule with an unknown signal", ALL, question(0, "segments", 0, "when"), "visits > 3"),
    ("a rule with a name that objects have", DAILY, question(0, "segments", 0, "when"), "toString == 1"),
    ("a rule with a syntax error", ALL, question(0, "segments", 0, "when"), "idle > "),
    ("a condition that is a number", ALL, question(0, "segments", 0, "when"), "idle"),
    ("a number that is a condition", ALL, question(2, "number"), "idle > 3"),
    ("a segment id twice", ALL, question(0, "segments", 1, "id"), "idle"),
    ("no last segment", ALL, question(0, "segments", 2, "when"), "idle > 1"),
    ("a segment without a rule before the last", ALL, question(0, "segments", 0, "when"), REMOVED),
    ("one_of a number", ALL, question(1, "one_of"), "orders"),
    ("one_of an unknown signal", ALL, question(1, "one_of"), "taste"),
    ("the category other", ALL, question(1, "categories", 0), "other"),
    ("a category twice", ALL, question(1, "categories", 0), "music"),
    ("edges that do not ascend", ALL, question(2, "edges", 1), 0),
    ("edges that descend", ALL, question(2, "edges"), [20, 10.5, 0, -1]),
    ("an edge as a string", ALL, question(2, "edges", 1), "10.5"),
    ("edges with one name", ALL, question(2, "edges"), [0, 0.1, 0.10000000000000002, 20]),
    ("otherwise with the name of a segment", ALL, question(2, "otherwise"), "0-10.5"),
    ("a cross of an unknown question", ALL, question(3, "cross"), ["zebra", "colour"]),
    ("a cross of a cross", ALL, question(3, "cross"), ["zebra", "pair"]),
    ("a cross of another cross", ALL, ["questions"], lambda questions: [*questions, {
        "id": "second", "cross": ["basket", "pair"], "epsilon": 1.5, "only_crossed": False,
        "mechanism": {"name": "direct", "symbols": 75, "weights": weights("1.5")}}]),
    ("a cross of one question twice", ALL, question(3, "cross"), ["zebra", "zebra"]),
    ("a cross with two equal names", ALL, ["questions"], equal_names),
    ("only_crossed, but nothing crosses it", DAILY, question(2, "only_crossed"), True),
    ("only_crossed as a number", ALL, question(0, "only_crossed"), 0),
]  # fmt: skip

# How a client asks for a survey, and whether it may use the answer: what the case shows, what differs from a client
# that pins the survey's digest and has no ceiling, and whether the answer is used.
FETCHED: list[tuple[str, dict[str, Any], bool]] = [
    ("the pinned survey", {}, True),
    ("a survey within both ceilings", {"pinned": None, "max_epsilon": 1.5, "max_lifetime_epsilon": 10.5}, True),
    ("another digest is pinned", {"pinned": "0" * 64}, False),
    ("a digest with another last digit is pinned", {"pinned": lambda digest: digest[:-1] + "0"}, False),
    ("the pinned digest in upper case", {"pinned": str.upper}, False),
    ("another id", {"id": "else"}, False),
    ("another version", {"version": 1}, False),
    ("epsilon above the ceiling", {"max_epsilon": 1.4}, False),
    ("epsilon above the ceiling by less than 1e-9", {"max_epsilon": 1.5 - 1e-10}, True),
    ("lifetime epsilon above the ceiling", {"max_lifetime_epsilon": 10.4}, False),
    ("lifetime epsilon above the ceiling by less than 1e-9", {"max_lifetime_epsilon": 10.5 - 1e-9}, True),
    ("the `digest` of the answer does not count", {"answer": (["digest"], "0" * 64)}, True),
    ("an answer without `digest`", {"answer": (["digest"], REMOVED)}, True),
    ("an answer without `survey`", {"answer": (["survey"], REMOVED)}, False),
    ("a survey that is not resolved", {"answer": (["survey", "retention_days"], REMOVED)}, False),
    ("a mechanism that is not resolved", {"answer": (["survey", "questions", 0, "mechanism"], "auto")}, False),
    ("a number beyond 2^53", {"answer": (["survey", "version"], 2**53)}, False),
    ("not JSON", {"body": "<html>"}, False),
    ("a list", {"body": "[]"}, False),
    ("null", {"body": '{"survey":null}'}, False),
]
