"""A registry named by the URL of its database."""

from __future__ import annotations

import stat

import polars as pl
import pytest

import evermodel as em
from evermodel.core.errors import BadSetting


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "evermodel" / "registries"


def test_a_url_opens_a_registry_with_its_files_in_a_folder(postgres, documented_folder, tmp_path, cache):
    pytest.importorskip("lightgbm")
    url = f"{postgres.fresh()}?files={tmp_path / 'files'}"
    model = em.open(url).adopt(
        documented_folder / "existing_model.txt",
        data=documented_folder / "reference.csv",
        target="churned",
        name="churn",
    )
    rows = pl.read_csv(documented_folder / "may.csv").drop("churned")
    again = em.open(url)
    assert list(again) == ["churn"]
    assert again["churn"].predict(rows).equals(model.predict(rows))
    assert any((tmp_path / "files").rglob("model.txt"))
    assert again.doctor().healthy
    (setup,) = cache.rglob("store.toml")
    assert stat.S_IMODE(setup.stat().st_mode) == 0o600


def test_a_url_without_a_place_for_files_is_refused(cache):
    with pytest.raises(BadSetting, match="where the files of versions are"):
        list(em.open("postgresql://me@nowhere/models"))
    assert not cache.exists()


def test_a_url_of_another_kind_is_refused():
    with pytest.raises(BadSetting, match="No store can keep a registry"):
        list(em.open("mysql://nowhere/models"))
