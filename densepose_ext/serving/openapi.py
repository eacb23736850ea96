"""The OpenAPI 3.1 description of the API."""

from __future__ import annotations

from collections.abc import Mapping

import densepose_ext

from ..video.run import DRAWINGS
from .formats import ANSWERS
from .limits import Limits
from .models import Models
from .options import FILM_PURPOSES, MIN_SCORE, PURPOSES

_REASONS = {
    400: "the picture is damaged, or an option is invalid",
    401: "the token is missing or wrong",
    403: "the request comes from a page of another site",
    408: "the upload took too long",
    413: "the upload or its picture is too large",
    415: "the upload is not a picture in a known format",
    422: "the model does not support the format",
    500: "the model cannot be opened, or failed",
    503: "too many requests are in progress; Retry-After gives the seconds to wait",
    504: "the result took too long",
}


def describe(models: Models, limits: Limits) -> dict:
    """The description as JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "densepose_ext",
            "version": densepose_ext.__version__,
            "description": "Finds people in pictures and videos, with the body part (I) and the"
            " surface coordinates (U, V) at each of their pixels.",
        },
        "components": {
            "schemas": {"Error": _ERROR, "People": _PEOPLE, "Film": _FILM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
        "paths": {
            "/predict": {"post": _predict(models, limits)},
            "/video": {"post": _video(models, limits)},
            "/video/{id}": {
                "parameters": [_ID],
                "get": _answering("progress of a video, or why it failed", 200, _json("Film")),
                "delete": _answering("stops and removes a video", 204, {}),
            },
            "/video/{id}/film": {
                "parameters": [_ID],
                "get": _answering("the drawn video", 200, {"video/mp4": {"schema": _BINARY}}),
            },
            "/models": {"get": _getting("the models and formats")},
            "/health": {"get": _getting("status and load of the server")},
            "/openapi.json": {"get": _getting("this description")},
        },
    }


_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "the reason, in one line"}},
}

_PERSON = {
    "type": "object",
    "required": ["bbox", "score"],
    "properties": {
        "bbox": {
            "description": "x, y, width, height, pixels",
            "type": "array",
            "items": {"type": "number"},
            "minItems": 4,
            "maxItems": 4,
        },
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "uv_shape": {
            "description": "3, height, width of the map; its first pixel is the box's corner,"
            " rounded down",
            "type": "array",
            "items": {"type": "integer"},
        },
        "uv_data": {
            "description": "base64 of a PNG with I, U * 255, V * 255 in R, G, B",
            "type": "string",
        },
        "ref_model": {"description": "the mesh, for CSE models", "type": "string"},
        "vertices": {"description": "the vertex at each pixel, for CSE models"},
    },
}

_PEOPLE = {
    "type": "object",
    "required": ["model", "width", "height", "people"],
    "properties": {
        "model": {"type": "string"},
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "people": {"description": "best score first", "type": "array", "items": _PERSON},
    },
}

_FILM = {
    "type": "object",
    "required": ["id", "status", "frames", "of"],
    "properties": {
        "id": {"type": "string"},
        "status": {"enum": ["running", "done", "failed"]},
        "frames": {"description": "number of frames drawn", "type": "integer"},
        "of": {
            "description": "number of frames in the file; null if unknown",
            "type": ["integer", "null"],
        },
        "error": {"description": "why it failed", "type": "string"},
        "film": {"description": "path of the result", "type": "string"},
        "note": {"description": "what the result lacks, such as sound", "type": "string"},
    },
}

_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
_BINARY = {"type": "string", "format": "binary"}


def _predict(models: Models, limits: Limits) -> dict:
    answers: dict[str, dict] = {}
    for name, answer in ANSWERS.items():
        entry = answers.setdefault(answer.media, {"schema": dict(_BINARY)})
        if name == "json":
            entry["schema"] = {"$ref": "#/components/schemas/People"}
    return {
        "summary": "the people in a picture",
        "operationId": "predict",
        "parameters": [
            _option("format", {"enum": list(ANSWERS), "default": "json"}),
            _option("model", {"enum": list(models.choices), "default": models.default}),
            _option("min_score", {"minimum": 0, "maximum": 1, "default": MIN_SCORE}, "number"),
        ],
        "requestBody": _upload(
            "image/*",
            f"a picture of at most {limits.megabytes:g} MB and {limits.megapixels:g} million"
            " pixels",
        ),
        "responses": {
            "200": {
                "description": "; ".join(f"{n}: {answer.purpose}" for n, answer in ANSWERS.items()),
                "content": answers,
            },
            **{str(status): _failing(reason) for status, reason in _REASONS.items()},
        },
    }


def _video(models: Models, limits: Limits) -> dict:
    summary = "starts drawing a video, frame by frame, between pictures"
    answer = _answering(summary, 202, _json("Film"))
    purposes = FILM_PURPOSES
    return {
        **answer,
        "operationId": "video",
        "parameters": [
            _option("model", {"enum": list(models.choices), "default": models.default}),
            _option("min_score", {"minimum": 0, "maximum": 1, "default": MIN_SCORE}, "number"),
            _option("draw", {"enum": list(DRAWINGS), "default": "parts"}, "string", purposes),
            _option(
                "smooth", {"minimum": 0, "exclusiveMaximum": 1, "default": 0}, "number", purposes
            ),
        ],
        "requestBody": _upload(
            "video/*",
            f"a video of at most {limits.film_megabytes:g} MB, {limits.film_frames} frames and"
            f" {limits.megapixels:g} million pixels per frame",
        ),
    }


def _upload(media: str, description: str) -> dict:
    form = {"type": "object", "required": ["file"], "properties": {"file": _BINARY}}
    return {
        "required": True,
        "description": description,
        "content": {
            media: {"schema": _BINARY},
            "application/octet-stream": {"schema": _BINARY},
            "multipart/form-data": {"schema": form},
        },
    }


def _json(schema: str) -> dict:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _failing(reason: str) -> dict:
    return {"description": reason, "content": _json("Error")}


def _answering(summary: str, status: int, content: dict) -> dict:
    answer = {"description": summary, **({"content": content} if content else {})}
    failure = _failing("why the request was refused")
    return {"summary": summary, "responses": {str(status): answer, "default": failure}}


def _option(
    name: str, schema: dict, kind: str = "string", purposes: Mapping[str, str] = PURPOSES
) -> dict:
    return {
        "name": name,
        "in": "query",
        "description": purposes[name],
        "schema": {"type": kind, **schema},
    }


def _getting(what: str) -> dict:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {"summary": what, "responses": {"200": {"description": what, "content": content}}}
