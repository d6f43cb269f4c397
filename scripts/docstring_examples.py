"""Shows the examples in docstrings as code: an extension of griffe, which mkdocstrings reads docstrings with.

Griffe renders a section ``Examples:`` as Python code, and ``Example:``, which our docstrings use, as a remark.
"""

from __future__ import annotations

import re
from typing import Any

import griffe


class DocstringExamples(griffe.Extension):
    """Renames the section ``Example:`` to ``Examples:`` before docstrings are parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.M)
