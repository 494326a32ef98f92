"""The collector as a Flask application: the wire around admission and the writer."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge

from hushtally.client_sdk.canonical_json import canonical_json
from hushtally.client_sdk.clock import utc_today
from hushtally.client_sdk.protocol.refused import Refused
from hushtally.client_sdk.protocol.report import MOST_BYTES
from hushtally.client_sdk.survey import Survey
from hushtally.collector.admission import admit, collected, read, too_large
from hushtally.collector.housekeeping import Housekeeping
from hushtally.collector.metrics import CONTENT_TYPE, Metrics
from hushtally.collector.refusal import Refusal
from hushtally.collector.sqlite_store import SqliteStore
from hushtally.collector.startup_warnings import notices, require_distinct
from hushtally.collector.writer import Writer

_JSON = "application/json"
_PROBLEM = "application/problem+json"

_log = logging.getLogger("hushtally.collector")


def create_app(surveys: Sequence[Survey], database: str | Path, *, clock: Callable[[], date] = utc_today) -> Flask:
    """The collector of these surveys, counting into the SQLite file `database`, and erasing there what is over.

    It is made for `hushtally serve`, which alone limits connections and idle ones, and drains at the end; a process
    that is forked off after it was made (gunicorn --preload) refuses everything.
    Its `extensions["hushtally"]` is the Writer: close it to drain and to let go of the database. Reports for a
    survey that has ended are refused; of that, and of surveys that are missing, the log has its `notices`. Raises
    SurveyError for a survey that is named twice, and StoreError for a database that cannot be used, or that has another
    definition of one of the surveys.
    """
    require_distinct(surveys)
    store = SqliteStore(database)
    try:
        store.register(surveys)
        for line in notices(surveys, store.surveys(), clock()):
            _log.warning("%s", line)
    except BaseException:
        store.close()
        raise
    metrics = Metrics(surveys)
    writer = Writer(store, Housekeeping(store, clock, metrics), metrics)
    app = Flask("collector", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES + 1  # a body of unknown length is cut there, and seen to be too large
    app.extensions["hushtally"] = writer
    app.register_blueprint(_reports(surveys, writer, metrics, clock))
    app.register_blueprint(_descriptions(surveys))
    app.register_blueprint(_health(writer, metrics))
    app.register_error_handler(Refusal, _refusal)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    return app


def _reports(surveys: Sequence[Survey], writer: Writer, metrics: Metrics, clock: Callable[[], date]) -> Blueprint:
    blueprint = Blueprint("reports", __name__)

    @blueprint.post("/v1/reports")
    def count() -> Response:
        if request.mimetype != _JSON:
            raise Refusal(Refused.UNSUPPORTED_CONTENT, f"Content-Type must be {_JSON}")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise Refusal(Refused.UNSUPPORTED_CONTENT, "the body must not be compressed")
        batch = read(request.get_data(cache=False))
        return Response(writer.add(admit(batch, surveys, clock())), mimetype=_JSON)

    @blueprint.errorhandler(Refusal)
    def refuse(error: Refusal) -> Response:
        metrics.refused(error.kind)
        return _refusal(error)

    @blueprint.errorhandler(RequestEntityTooLarge)
    def refuse_body(_: RequestEntityTooLarge) -> Response:
        return refuse(too_large())

    return blueprint


def _descriptions(surveys: Sequence[Survey]) -> Blueprint:
    blueprint = Blueprint("surveys", __name__, url_prefix="/v1/surveys")
    bodies = {
        (survey.id, survey.version): canonical_json({"survey": survey.resolved, "digest": survey.digest})
        for survey in surveys
    }

    @blueprint.get("/<id>/<int:version>")
    def describe(id: str, version: int) -> Response:
        try:
            return Response(bodies[id, version], mimetype=_JSON)
        except KeyError:
            raise unknown() from None

    @blueprint.get("", defaults={"_": ""}, strict_slashes=False)
    @blueprint.get("/<path:_>")
    def other(_: str) -> Response:
        raise unknown()

    def unknown() -> NotFound:
        return NotFound(f"a survey is at /v1/surveys/ID/VERSION; {collected(surveys)}")

    return blueprint


def _health(writer: Writer, metrics: Metrics) -> Blueprint:
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def check() -> Response:
        writer.check()
        return Response(canonical_json({"status": "ok"}), mimetype=_JSON)

    @blueprint.get("/metrics")
    def tell() -> Response:
        try:
            writer.check()
        except Refusal:
            return Response(metrics.text(can_count=False), content_type=CONTENT_TYPE)
        return Response(metrics.text(can_count=True), content_type=CONTENT_TYPE)

    return blueprint


def _refusal(error: Refusal) -> Response:
    response = Response(json.dumps(error.problem), error.kind.status, mimetype=_PROBLEM)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _http_error(error: HTTPException) -> Response:
    response = Response(status=error.code, headers=error.get_headers())  # Allow and the like stay
    response.data = json.dumps(
        {"type": "about:blank", "title": error.name, "status": error.code, "detail": error.description}
    ).encode()
    response.content_type = _PROBLEM
    return response


def _unexpected(error: Exception) -> Response:
    # the place without the error's own text, which might quote a request
    _log.error("unexpected %s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)).rstrip())
    problem = {"type": "about:blank", "title": "Internal Server Error", "status": 500}
    return Response(json.dumps(problem), 500, mimetype=_PROBLEM)
