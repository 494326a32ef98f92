"""Cases for epochs, schedules and permanent memory. Written by hand, not computed by the shipped code."""

from __future__ import annotations

from typing import Any

# epoch, day, the label of the epoch that contains the day, the first and the last day of that epoch
EPOCHS = [
    ("day", "2026-11-24", "2026-11-24", "2026-11-24", "2026-11-24"),
    ("day", "2028-02-29", "2028-02-29", "2028-02-29", "2028-02-29"),
    ("week", "2026-11-24", "2026-W48", "2026-11-23", "2026-11-29"),
    ("week", "2026-11-23", "2026-W48", "2026-11-23", "2026-11-29"),
    ("week", "2026-11-29", "2026-W48", "2026-11-23", "2026-11-29"),
    ("week", "2026-12-31", "2026-W53", "2026-12-28", "2027-01-03"),
    ("week", "2027-01-03", "2026-W53", "2026-12-28", "2027-01-03"),
    ("week", "2027-01-04", "2027-W01", "2027-01-04", "2027-01-10"),
    ("week", "2024-12-29", "2024-W52", "2024-12-23", "2024-12-29"),
    ("week", "2024-12-30", "2025-W01", "2024-12-30", "2025-01-05"),
    ("week", "2022-01-01", "2021-W52", "2021-12-27", "2022-01-02"),
    ("month", "2026-12-31", "2026-12", "2026-12-01", "2026-12-31"),
    ("month", "2027-02-01", "2027-02", "2027-02-01", "2027-02-28"),
    ("month", "2028-02-29", "2028-02", "2028-02-01", "2028-02-29"),
]

# strings that are not labels of such an epoch
INVALID_LABELS = [
    *(("day", label) for label in ("2026-02-29", "2026-11-31", "20261124", "2026-11-24T00:00", "2026-11", "")),
    *(("week", label) for label in ("2025-W53", "2026-W54", "2026-W00", "2026-W1", "2026-w48", "2026W48", "2026-48")),
    *(("month", label) for label in ("2026-13", "2026-00", "2026-1", "2026-11-01", "2026-W48", " 2026-11")),
]

# epoch, its label, retention_days, the last day on which reports are accepted, the day on which counts are erased
CLOSING = [
    ("day", "2027-02-28", 1, "2027-03-01", "2027-03-03"),
    ("week", "2026-W48", 1, "2026-12-06", "2026-12-08"),
    ("week", "2026-W53", 180, "2027-01-10", "2027-07-10"),
    ("month", "2026-12", 30, "2027-01-31", "2027-03-03"),
]


def weeks(year: int, *numbers: int) -> list[str]:
    return [f"{year}-W{number:02}" for number in numbers]


# what a survey states, and what follows: the number of its epochs, the maximum number of answers of a device, the
# lifetime epsilon, and for every phase 0, 1, ... the epochs in which a device answers
SURVEYS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"starts": "2026-11-02", "ends": "2027-05-02", "epoch": "week", "answers_every": 4, "epsilons": [1.0]},
        {
            "epochs": 26,
            "answers": 7,
            "lifetime_epsilon": 7.0,
            "phases": [
                weeks(2026, 45, 49, 53) + weeks(2027, 4, 8, 12, 16),
                weeks(2026, 46, 50) + weeks(2027, 1, 5, 9, 13, 17),
                weeks(2026, 47, 51) + weeks(2027, 2, 6, 10, 14),
                weeks(2026, 48, 52) + weeks(2027, 3, 7, 11, 15),
            ],
        },
    ),
    (
        {
            "starts": "2026-11-01", "ends": "2027-02-28", "epoch": "month", "answers_every": 3,
            "questions_per_device": 2, "epsilons": [1.0, 0.5, 2.0],
        },
        {
            "epochs": 4,
            "answers": 2,
            "lifetime_epsilon": 6.0,
            "phases": [["2026-11", "2027-02"], ["2026-12"], ["2027-01"]],
        },
    ),
    (
        {"starts": "2026-12-30", "ends": "2027-01-02", "epoch": "day", "answers_every": 1, "epsilons": [0.5, 0.25]},
        {
            "epochs": 4,
            "answers": 4,
            "lifetime_epsilon": 2.0,
            "phases": [["2026-12-30", "2026-12-31", "2027-01-01", "2027-01-02"]],
        },
    ),
    (
        {"starts": "2026-11-02", "ends": "2026-11-08", "epoch": "week", "answers_every": 2, "epsilons": [8.0]},
        {"epochs": 1, "answers": 1, "lifetime_epsilon": 8.0, "phases": [["2026-W45"], []]},
    ),
    (
        {
            "starts": "2026-11-02", "ends": "2026-12-27", "epoch": "week", "answers_every": 2,
            "epsilons": [1.0, 1.0], "memory": "permanent", "epsilons_permanent": [2.0, 3.0], "changes": 1,
        },
        {
            "epochs": 8,
            "answers": 4,
            "lifetime_epsilon": 6.0,
            "phases": [weeks(2026, 45, 47, 49, 51), weeks(2026, 46, 48, 50, 52)],
        },
    ),
    (
        {
            "starts": "2026-11-02", "ends": "2026-11-22", "epoch": "week", "answers_every": 1,
            "epsilons": [1.0], "memory": "permanent", "epsilons_permanent": [1.5], "changes": 100,
        },
        {"epochs": 3, "answers": 3, "lifetime_epsilon": 4.5, "phases": [weeks(2026, 45, 46, 47)]},
    ),
]  # fmt: skip

# permanent memory: changes, the values of successive answers, the value whose permanent symbol each answer repeats, and
# whether the symbol is new and costs epsilon_permanent
MEMORY = [
    (0, [2, 2, 0, 2, 1], [2, 2, 2, 2, 2], [True, False, False, False, False]),
    (1, [0, 1, 2, 0, 2, 1], [0, 1, 1, 0, 0, 1], [True, True, False, False, False, False]),
    (2, [0, 1, 0, 2, 1, 3], [0, 1, 0, 2, 1, 1], [True, True, False, True, False, False]),
    (100, [3, 2, 1, 0, 3], [3, 2, 1, 0, 3], [True, True, True, True, False]),
]
