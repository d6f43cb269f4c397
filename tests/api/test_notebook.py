"""A notebook is run: results show as HTML tables, not as plain text."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("lightgbm")
nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NOTEBOOK = Path(__file__).with_name("update.ipynb")
SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def cells(documented_folder, tmp_path_factory):
    """Source -> HTML of the last output, of every cell of code."""
    folder = shutil.copytree(documented_folder, tmp_path_factory.mktemp("notebook") / "documented")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(SOURCE), *([before] if before else [])])
    try:
        nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {cell.source.splitlines()[-1]: cell.outputs[-1]["data"].get("text/html", "") for cell in code}


@pytest.mark.parametrize(
    ("cell", "shows"),
    [
        ("registry", "<td style='text-align:left'>churn</td>"),
        ("churn", "v1"),
        ("result", "<strong>promoted: churn v2"),
        ("result.scores", "<th>challenger</th>"),
        ("churn.versions", "v2"),
        ('churn.evaluate("may.csv")', "<td style='text-align:left'>auc</td>"),
        ('churn.predict("may.csv").head()', "prediction"),
        ("churn.alarms", "Open alarms of churn: none"),
    ],
)
def test_a_cell_shows_html(cells, cell, shows):
    assert shows in cells[cell]


def test_tables_have_rows(cells):
    assert cells["result"].count("<tr>") > 6
    assert cells["churn.versions"].count("<tr>") == 3  # the headings, v1 and v2
