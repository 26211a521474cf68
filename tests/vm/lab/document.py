# SPDX-License-Identifier: GPL-2.0
"""What rvsadm -j prints, as the schema in docs/ has it."""

import functools
import json
import pathlib

import jsonschema

SCHEMA = pathlib.Path(__file__).resolve().parents[3] / "docs" / "rvsadm.schema.json"


def content(text):
    """A document without the version that all of them have."""
    document = json.loads(text)
    assert document.pop("version") == 1
    return document


@functools.cache
def _schema():
    return json.loads(SCHEMA.read_text(encoding="utf-8"))


def check(command, text):
    """Refuses a document that is not what the schema says of COMMAND."""
    schema = dict(_schema()["documents"][command])
    schema["$defs"] = _schema()["$defs"]
    document = json.loads(text)
    jsonschema.validate(document, schema)
    return document
