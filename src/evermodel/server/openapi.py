"""The description of the server's interface in OpenAPI 3.1, with the inputs of the models that it serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import evermodel
from evermodel.core.data.contract import Column, Contract
from evermodel.core.data.logged_predictions import PREDICTION_ID
from evermodel.server.checked_rows import takes_texts
from evermodel.server.open_inference import DATATYPES
from evermodel.server.prepared_model import PreparedModel
from evermodel.server.request_body import ARROW_FILE, ARROW_STREAM, CSV, JSON, PARQUET

_PROBLEMS = {
    "400": "The request cannot be read.",
    "401": "The token is missing or wrong.",
    "404": "There is no such model.",
    "408": "The body did not arrive in time.",
    "413": "The body, or the number of rows, is over the limit.",
    "415": "The body is of a kind that is not read.",
    "421": "Asked under a foreign name.",
    "422": "The rows do not fit the model's signature.",
    "429": "Too many requests at once; Retry-After says when to come back.",
    "500": "The model failed.",
    "503": "No answer in time; Retry-After says when to come back.",
}


def describe_server(models: Sequence[PreparedModel]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, Any] = {}
    if len(models) == 1:
        paths["/invocations"] = _describe_invocations(models[0], "invoke")
    for prepared in models:
        name = prepared.name
        paths[f"/models/{name}/invocations"] = _describe_invocations(prepared, f"invoke_{name}")
        paths[f"/models/{name}/feedback"] = _describe_feedback(prepared)
        paths[f"/v2/models/{name}/infer"] = _describe_infer(prepared)
        paths[f"/v2/models/{name}"] = _describe_get(f"The inputs and outputs of {name}.", f"show_{name}")
        paths[f"/v2/models/{name}/ready"] = _describe_get(f"Whether {name} answers.", f"ready_{name}")
    about = {
        "/v2": "What the server is.",
        "/v2/health/live": "Whether the server runs.",
        "/v2/health/ready": "Whether the server answers.",
        "/ping": "Whether the server answers.",
        "/health": "Whether the server answers.",
        "/openapi.json": "This document.",
    }
    paths |= {path: _describe_get(text, _name_operation(path)) for path, text in about.items()}
    for path, text in {"/version": "The release.", "/metrics": "Prometheus's metrics."}.items():
        paths[path] = _describe_get(text, _name_operation(path), "text/plain")
    return {
        "openapi": "3.1.0",
        "info": {"title": "Evermodel", "version": evermodel.__version__},
        "paths": paths,
        "components": {"schemas": {"Error": _describe_error()}},
    }


def _name_operation(path: str) -> str:
    return "get" + path.replace("/", "_").replace(".", "_")


def _describe_invocations(prepared: PreparedModel, operation: str) -> dict[str, Any]:
    row = {
        "type": "object",
        "properties": _describe_columns(prepared.contract),
        "required": list(_describe_columns(prepared.contract)),
    }
    records = {"type": "array", "items": row, "minItems": 1}
    split = {
        "type": "object",
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "data": {"type": "array", "items": {"type": "array"}},
        },
        "required": ["columns", "data"],
    }
    forms = [("dataframe_records", records), ("dataframe_split", split), ("instances", records)]
    bodies = [{"type": "object", "properties": {key: form}, "required": [key]} for key, form in forms]
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = {JSON: {"schema": {"oneOf": bodies}}, CSV: {"schema": {"type": "string", "minLength": 1}}}
    content |= dict.fromkeys((ARROW_STREAM, ARROW_FILE, PARQUET), binary)
    on_error = {"type": "string", "enum": ["answer", "refuse"], "default": "answer"}
    return {
        "post": {
            "operationId": operation,
            "summary": f"Predict rows with {prepared.name}.",
            "parameters": [{"name": "on_error", "in": "query", "schema": on_error}],
            "requestBody": {"required": True, "content": content},
            "responses": {"200": _describe_json("The predictions, in the order of the rows."), **_describe_problems()},
        }
    }


def _describe_infer(prepared: PreparedModel) -> dict[str, Any]:
    size = {"type": "integer", "minimum": 0}
    answer = _describe_json("The output tensors; some of them as bytes behind the JSON, where they are asked for so.")
    answer["content"]["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    tensor = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
            "datatype": {"type": "string", "enum": [*DATATYPES, "BYTES"]},
            "data": {"type": "array"},
            "parameters": {"type": "object", "properties": {"binary_data_size": size}},
        },
        "required": ["name", "shape", "datatype"],
    }
    output = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "parameters": {"type": "object", "properties": {"binary_data": {"type": "boolean"}}},
        },
        "required": ["name"],
    }
    body = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": tensor, "minItems": 1},
            "outputs": {"type": "array", "items": output},
            "parameters": {"type": "object", "properties": {"binary_data_output": {"type": "boolean"}}},
        },
        "required": ["inputs"],
    }
    return {
        "post": {
            "operationId": f"infer_{prepared.name}",
            "summary": f"Predict rows with {prepared.name} by the Open Inference Protocol.",
            "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
            "responses": {"200": answer, **_describe_problems()},
        }
    }


def _describe_feedback(prepared: PreparedModel) -> dict[str, Any]:
    target = str(prepared.contract.roles.target)
    value = ["string", "number", "boolean", "null"]  # null is no label, and is counted as unusable
    row = {
        "type": "object",
        "properties": {PREDICTION_ID: {"type": value}, target: {"type": value}},
        "description": "A row without its id or its label is counted, and the others are joined.",
    }
    body = {
        "type": "object",
        "properties": {"dataframe_records": {"type": "array", "items": row, "minItems": 1}},
        "required": ["dataframe_records"],
    }
    return {
        "post": {
            "operationId": f"feedback_{prepared.name}",
            "summary": f"Labels of predictions that {prepared.name} answered before.",
            "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
            "responses": {"200": _describe_json("How many labels found their predictions."), **_describe_problems()},
        }
    }


def _describe_columns(contract: Contract) -> dict[str, Any]:
    """Each input column; a list column of any length as one list."""
    inside = {place: layout for layout in contract.row_format.lists for place in layout.places}
    found: dict[str, Any] = {}
    for column in contract.columns:
        layout = inside.get(column.name)
        if layout is None:
            found[column.name] = _describe_column(column) if contract.task != "text" else _PROMPT
        else:
            most = {} if layout.cut_side is not None else {"maxItems": layout.length}
            found[layout.column] = {"type": "array", "items": {"type": "number"}, **most}
    return found


_MESSAGE = {
    "type": "object",
    "properties": {"role": {"type": "string"}, "content": {"type": "string"}},
    "required": ["role", "content"],
}
_PROMPT = {"oneOf": [{"type": "string"}, {"type": "array", "items": _MESSAGE, "minItems": 1}]}


def _describe_column(column: Column) -> dict[str, Any]:
    if column.kind == "image":
        return {"type": ["string", "null"], "contentEncoding": "base64"}
    return {"type": ["number", "boolean", "null", *(["string"] if takes_texts(column) else [])]}


def _describe_get(summary: str, operation: str, media_type: str = JSON) -> dict[str, Any]:
    answer = {"description": summary, "content": {media_type: {}}}
    refusals = {status: _PROBLEMS[status] for status in ("401", "404", "421")}
    return {
        "get": {
            "operationId": operation,
            "summary": summary,
            "responses": {"200": answer, **{status: _describe_problem(text) for status, text in refusals.items()}},
        }
    }


def _describe_json(description: str) -> dict[str, Any]:
    return {"description": description, "content": {JSON: {"schema": {"type": "object"}}}}


def _describe_problems() -> dict[str, Any]:
    return {status: _describe_problem(text) for status, text in _PROBLEMS.items()}


def _describe_problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}}


def _describe_error() -> dict[str, Any]:
    texts = {key: {"type": "string"} for key in ("error", "error_code", "message")}
    return {"type": "object", "properties": texts, "required": list(texts)}
