"""A stranger's ``store.toml`` makes fsspec run nothing; a new registry is closed to other users."""

from __future__ import annotations

import os
import stat

import pytest

from evermodel.core.errors import BadSetting
from evermodel.plugins.stores.sql import sql


@pytest.mark.parametrize("place", ["files", "copies"])
@pytest.mark.parametrize(
    "url",
    [
        "reference://x",
        "filecache::file:///nowhere",
        "simplecache::https://example.invalid/x",
        "filecache://x",
        "blockcache::s3://bucket/x",
        "zip://x::file:///a.zip",
        "python://x",
        "github://a:b@c/",
        "memory://x",
    ],
)
def test_a_file_system_that_is_not_a_place_for_files_is_refused(url, place, tmp_path):
    marker = tmp_path / "marker"
    template = "{{ cycler.__init__.__globals__.os.system('touch " + str(marker) + "') }}"
    value = f'"{url}"' if place == "files" else f'["{url}"]'
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "store.toml").write_text(
        f'{place} = {value}\n[options."reference://"]\nremote_protocol = "file"\nsimple_templates = false\n'
        f'[options."reference://".fo]\nversion = 1\n[options."reference://".fo.templates]\nu = "{template}"\n'
        '[options."reference://".fo.refs]\n"a/b" = ["{{u()}}"]\n'
    )
    with pytest.raises(BadSetting, match="cannot be kept"):
        sql(tmp_path / "registry")
    assert not marker.exists()


def test_a_folder_by_url_is_still_a_place(tmp_path):
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "store.toml").write_text(f'files = "{(tmp_path / "files").as_uri()}"\n')
    assert sql(tmp_path / "registry").list_models() == []


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_a_new_registry_is_closed_to_other_users_and_an_existing_folder_keeps_its_rights(tmp_path):
    before = os.umask(0o022)
    try:
        sql(tmp_path / "new")
        (tmp_path / "team").mkdir(mode=0o755)
        sql(tmp_path / "team")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "team").stat().st_mode) == 0o755
