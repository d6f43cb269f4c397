"""Files behind URLs: a bucket that speaks S3, a WebDAV server, a folder; second copies; caches that are checked."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

from evermodel.core.errors import AskedWrongly, BadSetting, Damaged, NotDelivered
from evermodel.plugins.stores._sql.object_files import Objects
from evermodel.plugins.stores._sql.setup import Setup
from evermodel.plugins.stores.sql import sql
from scripts.servers import free_port
from tests.registry.test_sql import put


@contextmanager
def webdav(folder):
    """A WebDAV server of a folder: whole PUTs, no rename asked of it."""
    from cheroot import wsgi
    from wsgidav.wsgidav_app import WsgiDAVApp

    folder.mkdir()
    users = {"*": {"me": {"password": "topsecret"}}}
    told = {"provider_mapping": {"/": str(folder)}, "simple_dc": {"user_mapping": users}, "verbose": 0}
    port = free_port()
    server = wsgi.Server(("127.0.0.1", port), WsgiDAVApp(told))
    server.prepare()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        thread.join(5)


@contextmanager
def bucket():
    """An empty bucket behind S3's protocol, on loopback."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    who = {"aws_access_key_id": "me", "aws_secret_access_key": "topsecret", "region_name": "us-east-1"}
    try:
        boto3.client("s3", endpoint_url=url, **who).create_bucket(Bucket="models")
        yield {"endpoint_url": url, "key": "me", "secret": "topsecret"}
    finally:
        server.stop()


@pytest.fixture(params=["file", "webdav", "s3"])
def place(request, tmp_path):
    if request.param == "file":
        yield (tmp_path / "files").as_uri(), {}
        return
    if request.param == "s3":
        with bucket() as told:
            yield "s3://models/production", {"s3://": told}
        return
    with webdav(tmp_path / "served") as url:
        yield "webdav://models", {"webdav://": {"base_url": url, "auth": ("me", "topsecret")}}


@pytest.fixture
def store(place, tmp_path):
    url, options = place
    return sql(tmp_path / "registry", setup=Setup(files=url, options=options))


def test_versions_and_blobs_come_back_without_the_cache(store, place, tmp_path):
    card = put(store)
    staged = store.staging_folder() / "rows"
    staged.write_bytes(b"rows")
    digest = store.put_blob(staged)
    other = sql(tmp_path / "other", setup=Setup(files=place[0], options=place[1]))  # another machine's cache
    assert other.get_blob(digest).read_bytes() == b"rows"
    at = other._files.version_folder("m", "v1", card.files)
    assert (at / "model" / "w").read_text() == "weights"
    assert {s.key for s in other.upkeep.list_stored()} == {digest, *card.files.values()}
    other.delete_blob(digest)
    other.delete_blob(digest)
    with pytest.raises(Damaged):
        other.get_blob(digest)


def test_a_cache_that_was_changed_is_fetched_again(store):
    put(store)
    at = store.version_folder("m", "v1") / "model" / "w"
    at.write_text("other")
    assert (store.version_folder("m", "v1") / "model" / "w").read_text() == "weights"


def test_a_changed_object_is_noticed(tmp_path):
    store = sql(tmp_path / "registry", setup=Setup(files=(tmp_path / "files").as_uri()))
    put(store)
    (stored,) = [p for p in (tmp_path / "files").rglob("*") if p.is_file()]
    stored.write_text("other")
    (store.version_folder("m", "v1") / "model" / "w").unlink()
    with pytest.raises(Damaged, match="hash differs"):
        store.version_folder("m", "v1")


def test_every_file_is_put_into_the_second_copy_too(tmp_path):
    store = sql(tmp_path / "registry", setup=Setup(copies=(str(tmp_path / "copy"), (tmp_path / "third").as_uri())))
    card = put(store)
    staged = store.staging_folder() / "rows"
    staged.write_bytes(b"rows")
    digest = store.put_blob(staged)
    for copy in store.upkeep.copies():
        assert {s.key for s in copy.list_stored()} == {digest, *card.files.values()}
    store.delete_blob(digest)
    assert all(not copy.has(digest) for copy in store.upkeep.copies())


def test_a_second_copy_that_is_away_stops_nothing(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    store = sql(tmp_path / "registry", setup=Setup(copies=(str(tmp_path / "file"),)))
    assert put(store).version == "v1"


def test_a_place_that_is_none_is_said():
    with pytest.raises(AskedWrongly, match="nosuch"):
        Objects("nosuch://bucket/x", {})


def test_a_server_that_does_not_answer_is_said_without_its_password(tmp_path):
    options = {"webdav://": {"base_url": f"http://127.0.0.1:{free_port()}", "auth": ("me", "topsecret")}}
    store = sql(tmp_path / "registry", setup=Setup(files="webdav://me:topsecret@models", options=options))
    with pytest.raises((NotDelivered, BadSetting)) as error:
        put(store)
    assert "topsecret" not in str(error.value)
    assert store.list_cards("m") == []
