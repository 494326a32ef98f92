"""The questions that a card asks, because the survey cannot answer them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum

from hushtally.survey.card.rating import Level


class Kind(Enum):
    """What an answer looks like in the context file. Each question that is not required may be "not applicable"."""

    TEXT = "a string, or a list of strings"
    DAY = "a date"
    CHOICE = "one of a few words"
    SWITCH = "true or false"
    EPSILON = "a number"


class Device(StrEnum):
    """Whose machine stores the recorded events."""

    CUSTOMER = "customer"
    KIOSK = "kiosk"
    OPERATOR = "operator"


class Decision(StrEnum):
    """How an assessment can end."""

    APPROVED = "approved"
    CONDITIONAL = "approved with conditions"
    CONSULT = "consult the supervisory authority"
    REJECTED = "rejected"


class Followed(StrEnum):
    """Whether advice was followed."""

    YES = "yes"
    PARTLY = "in part"
    NO = "no"


@dataclass(frozen=True)
class Field:
    """One question of a card.

    key: its name in the context file; title: its name in the card; ask: what to write. choices: the words that a CHOICE
    allows. required: "not applicable" is no answer. needed_if: the key of a choice, and the words for which this
    question has to be answered; None if it always has to be.
    """

    key: str
    title: str
    ask: str
    kind: Kind = Kind.TEXT
    choices: tuple[str, ...] = ()
    required: bool = False
    needed_if: tuple[str, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Group:
    """The questions of one section of a card, under the heading of the section."""

    title: str
    fields: tuple[Field, ...]


ASSESSMENT = Group(
    "The assessment",
    (
        Field(
            "need",
            "Why a DPIA is needed",
            "which criteria of GDPR art. 35 or of your authority's list the survey meets, or why you assess it anyway",
            required=True,
        ),
        Field("scope", "Scope", "what this assessment covers, what it leaves out, and why", required=True),
        Field("authors", "Authors", "who carried out this assessment: names and roles", required=True),
        Field(
            "standards",
            "Standards, law and codes of conduct",
            "the guidelines, codes of conduct, certifications, and further law and policy that apply",
        ),
        Field("publication", "Publication", "whether this assessment is published or shared, where, and with whom"),
    ),
)
PARTIES = Group(
    "Parties and places",
    (
        Field(
            "controller",
            "Controller",
            "name, address and contact of the controller, of each joint controller, and of the responsible department",
            required=True,
        ),
        Field("dpo", "Data protection officer", "name and contact of the data protection officer"),
        Field(
            "processors",
            "Processors",
            "each processor and sub-processor, such as the host of the collector: its task, and the contract (art. 28)",
        ),
        Field("recipients", "Recipients", "who receives counts, estimates or reports, inside and outside, and why"),
        Field(
            "locations",
            "Locations",
            "where the collector, its database and its backups are: country, place and operator",
            required=True,
        ),
        Field(
            "transfers",
            "Transfers to other countries",
            "each country outside the European Economic Area (or outside the United Kingdom) that data reaches, and"
            " what protects the data there",
        ),
    ),
)
PEOPLE = Group(
    "People",
    (
        Field("people", "Who is asked", "the groups of people who use the app", required=True),
        Field(
            "number_of_people", "How many people", "how many people are asked, and how many may agree", required=True
        ),
        Field("region", "Where they are", "the countries or regions in which they live", required=True),
        Field(
            "special_categories",
            "Special categories of data",
            "whether a question or a cohort reveals health, religion, politics, ethnic origin, sex life, union"
            " membership, a crime or a national number, and which exception of GDPR art. 9(2) or 10 applies",
        ),
        Field(
            "children",
            "Children and vulnerable people",
            "whether children, patients, employees or other vulnerable people take part, and how they are protected",
        ),
        Field(
            "relationship",
            "Relationship with them",
            "your relationship with these people, and how free they are to refuse",
            required=True,
        ),
        Field("expectations", "What they expect", "whether they would expect to be counted like this", required=True),
        Field(
            "concerns",
            "Prior concerns",
            "earlier complaints, incidents, and public concern about this kind of counting; the state of technology",
        ),
    ),
)
DEVICE = Group(
    "Data",
    (
        Field(
            "device",
            "Where the device is",
            'whose machine stores the recorded events: "customer" (their own), "kiosk" (yours, used by many'
            ' customers) or "operator" (your server)',
            Kind.CHOICE,
            tuple(Device),
            required=True,
        ),
        Field(
            "device_protection",
            "Protection of the device",
            "what protects the state file there, and who else can read it",
            required=True,
        ),
        Field(
            "data_quality",
            "Data quality",
            "how you make sure that the app records the right events, and how you check the estimates",
            required=True,
        ),
        Field(
            "results_retention",
            "Retention of results",
            "how long estimates, exports and backups are kept, and how they are deleted",
            required=True,
        ),
        Field(
            "retention_reason",
            "Why data is kept this long",
            "why the windows of the signals and the retention of the counts are not shorter",
            required=True,
        ),
    ),
)
NECESSITY = Group(
    "Necessity and proportionality",
    (
        Field("legal_basis", "Legal basis", "the legal basis in GDPR art. 6(1), and why it applies", required=True),
        Field(
            "necessity",
            "Why less is not enough",
            "which alternatives you considered (fewer questions, coarser segments, a smaller epsilon, a shorter"
            " survey, no survey) and why they do not serve the purpose",
            required=True,
        ),
        Field("benefits", "Benefits", "the benefits for the people, for you and for others", required=True),
        Field(
            "effects",
            "Effects on people",
            "the intended effects on the people, the unwanted effects, and why the benefits outweigh them",
            required=True,
        ),
        Field(
            "function_creep",
            "Use for other purposes",
            "what prevents that results or recorded events are later used for another purpose",
            required=True,
        ),
    ),
)
RIGHTS = Group(
    "Rights of the people",
    (
        Field(
            "information",
            "Information",
            "where and when people read the consent text and the privacy notice",
            required=True,
        ),
        Field(
            "consent",
            "Consent and withdrawal",
            "how the app asks for consent, how people withdraw it, and how easy both are",
            required=True,
        ),
        Field(
            "keep_consent",
            "Consent to later versions",
            "true if the app sets keep_consent, so that consent covers later versions of the survey; otherwise false",
            Kind.SWITCH,
            required=True,
        ),
        Field("access", "Access and portability", "how you answer a person who asks for access or a copy"),
        Field("erasure", "Rectification and erasure", "how you answer a person who asks for rectification or erasure"),
        Field("objection", "Objection and restriction", "how you answer a person who objects or asks for restriction"),
    ),
)
MEASURES = Group(
    "Measures",
    (
        Field(
            "max_lifetime_epsilon",
            "Ceiling of the app",
            "the app's max_lifetime_epsilon, which limits what one device reveals in all surveys together",
            Kind.EPSILON,
        ),
        Field(
            "proxy_logs",
            "Logs of the proxy",
            "which addresses and times the proxy in front of the collector logs, and for how long",
            required=True,
        ),
        Field(
            "security",
            "Further security measures",
            "encryption, access control, backups, updates and training that protect the collector and the results",
            required=True,
        ),
        Field("actions", "Action plan", "additional measures: what, who, until when, and how far each one is"),
    ),
)
SEVERITY = Group(
    "Risks",
    (
        Field(
            "severity",
            "Severity if an answer is learned",
            "how much it harms a person if someone learns a true answer to the most sensitive question",
            Kind.CHOICE,
            tuple(level.word for level in Level),
            required=True,
        ),
        Field("severity_reason", "Reason for this severity", "why you chose this severity", required=True),
    ),
)
CONSULTATION = Group(
    "Consultation and advice",
    (
        Field(
            "consultation",
            "Views of the people",
            "when and how the people or their representatives were consulted, and what they said",
        ),
        Field(
            "consultation_followed",
            "What became of their views",
            "what you changed after the consultation, and why the decision departs from other views",
        ),
        Field("experts", "Others who were consulted", "departments, processors and experts, and what they said"),
        Field("dpo_advice", "Advice of the DPO", "the advice of the data protection officer, in summary"),
        Field("dpo_advice_on", "Date of the advice", "the date of the advice", Kind.DAY),
        Field(
            "dpo_advice_followed",
            "Advice followed",
            'whether the advice was followed: "yes", "in part" or "no"',
            Kind.CHOICE,
            tuple(Followed),
        ),
        Field(
            "dpo_advice_reasons",
            "Why it was not followed",
            "which advice was not followed, and why",
            needed_if=("dpo_advice_followed", (Followed.PARTLY, Followed.NO)),
        ),
    ),
)
DECISION = Group(
    "Decision",
    (
        Field(
            "decision",
            "Decision",
            "the decision: " + ", ".join(f'"{decision}"' for decision in Decision),
            Kind.CHOICE,
            tuple(Decision),
            required=True,
        ),
        Field(
            "conditions",
            "Conditions",
            "the conditions that must be met before the survey begins",
            needed_if=("decision", (Decision.CONDITIONAL,)),
        ),
        Field("approver", "Approves the measures", "who approves the measures: name and position", required=True),
        Field(
            "risks_accepted_by",
            "Accepts the residual risks",
            "who accepts the residual risks: name and position",
            required=True,
        ),
        Field("reviewer", "Keeps it under review", "who keeps this assessment under review: name", required=True),
    ),
)
GROUPS = (
    ASSESSMENT,
    PARTIES,
    PEOPLE,
    DEVICE,
    NECESSITY,
    RIGHTS,
    MEASURES,
    SEVERITY,
    CONSULTATION,
    DECISION,
)


def all_fields() -> Iterator[Field]:
    """The fields of all groups, in the order of the card."""
    return (field for group in GROUPS for field in group.fields)
