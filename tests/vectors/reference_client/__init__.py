"""A second client, written from ../README.md and the pages that it links. It does not import hushtally.

The code is short rather than fast.

From events to answers: recorded, signals, arithmetic, rules, questions. Epochs and costs: epochs, schedule.
From answers to symbols: words, weights, one module per mechanism, mechanism.
"""
