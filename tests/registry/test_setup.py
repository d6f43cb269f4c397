"""store.toml, the schema's number, and registries of other releases."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys

import pytest
import sqlalchemy as sa

from evermodel.core.errors import BadSetting, Damaged, NotFound
from evermodel.plugins.stores._sql import schema
from evermodel.plugins.stores._sql.database import Database
from evermodel.plugins.stores._sql.setup import Setup, read_setup
from evermodel.plugins.stores._sql.tables import TABLES
from evermodel.plugins.stores.sql import sql
from evermodel.registry.lookup import open_store
from tests.registry.test_sql import put

LATER = """\"\"\"A later table.\"\"\"
import sqlalchemy as sa
from alembic import op
revision = "9001"
down_revision = {before!r}
def upgrade():
    op.create_table("later", sa.Column("key", sa.String(10), primary_key=True))
"""


def test_without_a_file_all_is_in_the_registry(tmp_path):
    assert read_setup(tmp_path) == Setup()


def test_the_file_says_where(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY", "hidden")
    (tmp_path / "secret").write_text("p@ss/word\n")
    (tmp_path / "store.toml").write_text(
        'database = "postgresql://me@db:5433/models"\npassword_file = "secret"\nfiles = "s3://bucket/models"\n'
        'copies = ["/mnt/copy"]\n[options."s3://"]\nkey = "env:KEY"\n'
    )
    found = read_setup(tmp_path)
    assert found.database == "postgresql+psycopg://me:p%40ss%2Fword@db:5433/models"
    assert (found.files, found.copies, found.options) == (
        "s3://bucket/models",
        ("/mnt/copy",),
        {"s3://": {"key": "hidden"}},
    )
    assert "hidden" not in repr(found) and "p%40ss" not in repr(found)


def test_an_environment_variable_names_the_file(tmp_path, monkeypatch):
    (tmp_path / "other.toml").write_text('files = "elsewhere"')
    monkeypatch.setenv("EVERMODEL_STORE", str(tmp_path / "other.toml"))
    assert read_setup(tmp_path / "registry").files == "elsewhere"
    monkeypatch.setenv("EVERMODEL_STORE", str(tmp_path / "nothing.toml"))
    with pytest.raises(NotFound, match="EVERMODEL_STORE"):
        read_setup(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("database = 3", "database must be text"),
        ('database = "models"', "must be a URL"),
        ('database = "mysql://a/b"', "SQLite or PostgreSQL"),
        ("databse = ''", "knows the keys"),
        ("copies = 'one'", "copies must be a list"),
        ("files = [", "is not TOML"),
        ('password_file = "none"\ndatabase = "postgresql://a@b/c"', "password_file cannot be read"),
        ('[options."s3://"]\nkey = "env:NOT_SET_ANYWHERE"', "NOT_SET_ANYWHERE"),
        ("[options]\na = 1", "options must be tables"),
        ('password_file = "../x"\ndatabase = "postgresql://a@b/c"', "must be in the registry"),
        ('password_file = "/etc/hostname"\ndatabase = "postgresql://a@b/c"', "must be in the registry"),
    ],
)
def test_a_wrong_file_is_refused_in_words(tmp_path, text, says):
    (tmp_path / "store.toml").write_text(text)
    with pytest.raises(BadSetting, match=says):
        read_setup(tmp_path)


def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path):
    with pytest.raises(BadSetting, match=r"127\.0\.0\.1:9") as error:
        sql(tmp_path / "registry", setup=Setup("postgresql+psycopg://me:topsecret@127.0.0.1:9/models"))
    assert "topsecret" not in str(error.value)


def test_files_in_another_folder(tmp_path):
    store = sql(tmp_path / "registry", setup=Setup(files=str(tmp_path / "other")))
    put(store)
    assert (tmp_path / "other" / "versions" / "m" / "v1" / "model" / "w").exists()
    assert not (tmp_path / "registry" / "versions").exists()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    url = request.getfixturevalue("postgres").fresh() if request.param == "postgresql" else ""
    return Database(tmp_path, url)


def test_the_migrations_make_the_tables_of_today(database):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.writing("") as db:
        schema.upgrade(db, schema.revisions()[-1])
    with database.reading() as db:
        assert compare_metadata(MigrationContext.configure(db), TABLES) == []
    schema.bring_up(database)


def test_a_registry_from_before_schemas_were_numbered_is_taken_on(database, tmp_path, monkeypatch):
    with database.writing("") as db:  # as the first release left it: its tables, no number
        schema.upgrade(db, schema.FIRST)
        db.execute(sa.text("DROP TABLE alembic_version"))
        db.execute(sa.text("INSERT INTO aliases VALUES ('m', 'champion', 'v1')"))
    migrations = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, migrations)
    (migrations / "versions" / "v9001_later.py").write_text(LATER.format(before=schema.revisions()[-1]))
    schema.revisions.cache_clear()
    monkeypatch.setattr(schema, "MIGRATIONS", migrations)
    try:
        schema.bring_up(database)
        with database.reading() as db:
            assert sa.inspect(db).has_table("later")
            assert db.scalar(sa.text("SELECT target FROM aliases")) == "v1"
            assert db.scalar(sa.select(schema.STAMP.c.version_num)) == "9001"
    finally:
        monkeypatch.undo()
        schema.revisions.cache_clear()
    with pytest.raises(BadSetting, match="newer release"):
        schema.bring_up(database)


def test_opening_a_registry_imports_neither_alembic_nor_fsspec(tmp_path):
    code = (
        "import sys; from pathlib import Path; from evermodel.plugins.stores.sql import sql; sql(Path(sys.argv[1]));"
        "print([m for m in ('alembic', 'fsspec', 'psycopg') if m in sys.modules])"
    )
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "registry"], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"


def test_the_setup_of_a_registry_that_nobody_named_is_not_followed(tmp_path, monkeypatch):
    (tmp_path / ".evermodel").mkdir()
    (tmp_path / ".evermodel" / "store.toml").write_text('files = "http://127.0.0.1:9/x"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVERMODEL_REGISTRY", raising=False)
    with pytest.raises(BadSetting, match="not followed"):
        open_store()
    (tmp_path / ".evermodel" / "store.toml").write_text('files = "files"')
    assert open_store(".evermodel").list_models() == []  # named
    monkeypatch.setenv("EVERMODEL_REGISTRY", ".evermodel")
    assert open_store().list_models() == []


def test_what_a_store_writes_is_the_owners_alone(tmp_path):
    before = os.umask(0o022)
    try:
        put(sql(tmp_path / "registry"))
    finally:
        os.umask(before)
    modes = {file: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "registry").rglob("*") if file.is_file()}
    assert len(modes) >= 2
    assert not {str(file): oct(mode) for file, mode in modes.items() if mode & 0o077}


def test_a_digest_that_leads_out_of_the_folder_is_refused(tmp_path):
    store = sql(tmp_path / "registry")
    put(store)
    with pytest.raises(Damaged, match="no SHA-256"):
        store.get_blob("../../../etc/passwd")
