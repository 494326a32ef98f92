"""A network, a clock and randomness for the tests of an app. `python -m pydoc hushtally.testing` shows an example."""

from hushtally.client_sdk import testing
from hushtally.client_sdk.testing import Recorder, ScriptedClock, SeededRandomness

__doc__ = testing.__doc__
__all__ = ["Recorder", "ScriptedClock", "SeededRandomness"]
