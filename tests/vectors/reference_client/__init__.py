"""A second client, written from ../README.md and the pages that it links. It does not import hushtally.

The code is short rather than fast.

From events to answers: recorded, signals, arithmetic, tokens, rules, questions. Epochs and costs: epochs, schedule.
From answers to symbols: words, weights, one module per mechanism, mechanism. From a survey to its digest, and what is
refused: canonical, described, resolved, invalid. From symbols to requests: batch, delivery, retry_after, device.
"""
