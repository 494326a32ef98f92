"""The collector as a Flask application: the HTTP routes around admission and the writer."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge

from hushtally.client_sdk.canonical_json import canonical_json
from hushtally.client_sdk.clock import utc_day, utc_today
from hushtally.client_sdk.protocol.refused import Refused
from hushtally.client_sdk.protocol.report import MAX_BYTES
from hushtally.client_sdk.survey import Survey
from hushtally.collector.admission import admit, decode, describe_collected, too_large
from hushtally.collector.housekeeping import Housekeeping
from hushtally.collector.metrics import CONTENT_TYPE, Metrics
from hushtally.collector.refusal import Refusal
from hushtally.collector.refusal_log import RefusalLog
from hushtally.collector.sqlite_store import SqliteStore
from hushtally.collector.startup_warnings import require_distinct, startup_warnings
from hushtally.collector.unexpected import Unexpected
from hushtally.collector.writer import RETRY_AFTER, Writer

_JSON = "application/json"
_PROBLEM = "application/problem+json"

_log = logging.getLogger("hushtally.collector")


def create_app(surveys: Sequence[Survey], database: str | Path, *, clock: Callable[[], date] = utc_today) -> Flask:
    """Create an application that counts reports for `surveys` in the SQLite file `database` and erases expired counts.

    clock: returns today's day in UTC, or the time with any time zone. Only `hushtally serve` limits the connections,
    closes idle connections and finishes requests before it stops. A process that is forked after this call (gunicorn
    --preload) refuses every batch. `extensions["hushtally"]` is the Writer: close it to count the waiting batches and
    to close the database. The startup warnings are logged. Raises SurveyError if a survey is given twice; StoreError if
    the database cannot be used, or contains a different definition of one of the surveys.
    """
    require_distinct(surveys)

    def today() -> date:
        return utc_day(clock())

    store = SqliteStore(database)
    try:
        store.register(surveys)
        for line in startup_warnings(surveys, store.surveys(), today()):
            _log.warning("%s", line)
    except BaseException:
        store.close()
        raise
    metrics, refusals, unexpected = Metrics(surveys), RefusalLog(), Unexpected()
    writer = Writer(store, Housekeeping(store, today, metrics), metrics)
    app = Flask("collector", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES + 1  # cuts a body of unknown length to a size that is too large
    # no redirects, because a redirect would repeat a Host that the sender chose
    app.url_map.merge_slashes = app.url_map.strict_slashes = app.url_map.redirect_defaults = False
    app.extensions["hushtally"] = writer
    app.extensions["hushtally_metrics"], app.extensions["hushtally_refusals"] = metrics, refusals
    app.extensions["hushtally_unexpected"] = unexpected
    app.register_blueprint(_reports(surveys, writer, metrics, refusals, today))
    app.register_blueprint(_surveys(surveys))
    app.register_blueprint(_health(writer, metrics))
    app.register_error_handler(Refusal, _refusal)
    app.register_error_handler(HTTPException, _http_error)

    @app.errorhandler(Exception)
    def report_unexpected(error: Exception) -> Response:
        unexpected.log(type(error), error.__traceback__)
        problem = {"type": "about:blank", "title": "Internal Server Error", "status": 500}
        return Response(json.dumps(problem), 500, mimetype=_PROBLEM)

    return app


def _reports(
    surveys: Sequence[Survey], writer: Writer, metrics: Metrics, refusals: RefusalLog, today: Callable[[], date]
) -> Blueprint:
    blueprint = Blueprint("reports", __name__)

    @blueprint.post("/v1/reports")
    def post_reports() -> Response:
        if request.mimetype != _JSON:
            raise Refusal(Refused.UNSUPPORTED_CONTENT, f"Content-Type must be {_JSON}")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise Refusal(Refused.UNSUPPORTED_CONTENT, "the body must not be compressed")
        batch = decode(request.get_data(cache=False))
        return Response(writer.add(admit(batch, surveys, today())), mimetype=_JSON)

    @blueprint.errorhandler(Refusal)
    def refuse(error: Refusal) -> Response:
        metrics.count_refusal(error.kind)
        if error.kind is not Refused.UNAVAILABLE:  # the writer logs the reason
            refusals.count(f"{error.kind.title} ({error.kind.code})")
        return _refusal(error)

    @blueprint.errorhandler(RequestEntityTooLarge)
    def refuse_too_large(_: RequestEntityTooLarge) -> Response:
        return refuse(too_large())

    return blueprint


def _surveys(surveys: Sequence[Survey]) -> Blueprint:
    blueprint = Blueprint("surveys", __name__, url_prefix="/v1/surveys")
    bodies = {
        (survey.id, survey.version): canonical_json({"survey": survey.resolved, "digest": survey.digest})
        for survey in surveys
    }

    @blueprint.get("/<id>/<int:version>")
    def get_survey(id: str, version: int) -> Response:
        try:
            return Response(bodies[id, version], mimetype=_JSON)
        except KeyError:
            raise not_found() from None

    @blueprint.get("", defaults={"_": ""})
    @blueprint.get("/<path:_>")
    def get_anything_else(_: str) -> Response:
        raise not_found()

    def not_found() -> NotFound:
        return NotFound(f"a survey is at /v1/surveys/ID/VERSION; {describe_collected(surveys)}")

    return blueprint


def _health(writer: Writer, metrics: Metrics) -> Blueprint:
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def get_health() -> Response:
        problem = writer.problem
        if problem is not None:
            raise Refusal(Refused.UNAVAILABLE, problem, retry_after=RETRY_AFTER)
        return Response(canonical_json({"status": "ok"}), mimetype=_JSON)

    @blueprint.get("/metrics")
    def get_metrics() -> Response:
        return Response(metrics.text(can_count=writer.problem is None), content_type=CONTENT_TYPE)

    return blueprint


def _refusal(error: Refusal) -> Response:
    response = Response(json.dumps(error.problem), error.kind.status, mimetype=_PROBLEM)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _http_error(error: HTTPException) -> Response:
    response = Response(status=error.code, headers=error.get_headers())  # keeps Allow and similar headers
    response.data = json.dumps(
        {"type": "about:blank", "title": error.name, "status": error.code, "detail": error.description}
    ).encode()
    response.content_type = _PROBLEM
    return response
