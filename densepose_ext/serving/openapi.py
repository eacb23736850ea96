"""The description of the API in terms of OpenAPI 3.1."""

from __future__ import annotations

import densepose_ext

from .formats import ANSWERS
from .limits import Limits
from .models import Models
from .options import MIN_SCORE, PURPOSES

_REASONS = {
    400: "the picture is damaged, or an option is wrong",
    401: "the token is missing or wrong",
    403: "the request comes from a page of another site",
    408: "the upload has taken too long",
    413: "the upload or its picture is too large",
    415: "the upload is no picture of a known format",
    422: "the format does not go with the model",
    500: "the model cannot be opened, or has failed",
    503: "too many requests are in progress; Retry-After says how many seconds to wait",
    504: "the result has taken too long",
}


def describe(models: Models, limits: Limits) -> dict:
    """The description, in terms of JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "densepose_ext",
            "version": densepose_ext.__version__,
            "description": "Finds people in pictures, and the part (I) and place (U, V) of the"
            " body at each of their pixels.",
        },
        "components": {
            "schemas": {"Error": _ERROR, "People": _PEOPLE},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
        "paths": {
            "/predict": {"post": _predict(models, limits)},
            "/models": {"get": _getting("the models and formats")},
            "/health": {"get": _getting("whether the server works, and how much it has to do")},
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
            "description": "3, height, width of the map, which begins at the pixel of the box's"
            " corner, rounded down",
            "type": "array",
            "items": {"type": "integer"},
        },
        "uv_data": {
            "description": "base64 of a PNG with I, U * 255, V * 255 in R, G, B",
            "type": "string",
        },
        "ref_model": {"description": "the mesh, for models of vertices", "type": "string"},
        "vertices": {"description": "the vertex of each pixel, for models of vertices"},
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


def _predict(models: Models, limits: Limits) -> dict:
    picture = {"type": "string", "format": "binary"}
    form = {"type": "object", "required": ["file"], "properties": {"file": picture}}
    answers: dict[str, dict] = {}
    for name, answer in ANSWERS.items():
        entry = answers.setdefault(answer.media, {"schema": dict(picture)})
        if name == "json":
            entry["schema"] = {"$ref": "#/components/schemas/People"}
    return {
        "summary": "people of a picture",
        "operationId": "predict",
        "parameters": [
            _option("format", {"enum": list(ANSWERS), "default": "json"}),
            _option("model", {"enum": list(models.choices), "default": models.default}),
            _option("min_score", {"minimum": 0, "maximum": 1, "default": MIN_SCORE}, "number"),
        ],
        "requestBody": {
            "required": True,
            "description": f"a picture of at most {limits.megabytes:g} MB and"
            f" {limits.megapixels:g} million pixels",
            "content": {
                "image/*": {"schema": picture},
                "application/octet-stream": {"schema": picture},
                "multipart/form-data": {"schema": form},
            },
        },
        "responses": {
            "200": {
                "description": "; ".join(f"{n}: {answer.purpose}" for n, answer in ANSWERS.items()),
                "content": answers,
            },
            **{
                str(status): {
                    "description": reason,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Error"}}
                    },
                }
                for status, reason in _REASONS.items()
            },
        },
    }


def _option(name: str, schema: dict, kind: str = "string") -> dict:
    return {
        "name": name,
        "in": "query",
        "description": PURPOSES[name],
        "schema": {"type": kind, **schema},
    }


def _getting(what: str) -> dict:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {"summary": what, "responses": {"200": {"description": what, "content": content}}}
