"""The reasons for silence, as state files store them and as apps see them."""

from hushtally.client_sdk.state.silence import Silence


def test_the_strings_in_existing_state_files_stay_valid():
    stored = {Silence.ENDED, Silence.SUPERSEDED, Silence.ANSWERS_ERASED}
    assert stored == {
        "the survey is over",
        "another version took its place",
        "consent was withdrawn and the permanent answers erased",
    }


def test_a_status_holds_plain_strings(lab):
    """An app may pickle or store a status without knowing any class of the SDK's internals."""
    client = lab.client(agreed=False)
    assert type(lab.silence(client)) is str
    client.grant_consent()
    lab.clock.advance(days=100)
    client.tick()
    assert (lab.silence(client), type(lab.silence(client))) == (Silence.ENDED, str)
    client.close()
    status = client.status()
    assert (status.silent, type(status.silent), type(status.surveys[0].silent)) == (Silence.CLOSED, str, str)
