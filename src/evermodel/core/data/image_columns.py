"""Pictures of a table, as paths or as structs of bytes and path, become bytes when they are asked for."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from evermodel.core.errors import BadData

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm")
LARGEST = 64 << 20  # bytes of one picture's file


def with_pictures(frame: pl.LazyFrame, folder: Path) -> pl.LazyFrame:
    """``frame`` with pictures as bytes: each text column whose first value is the path of one below ``folder``, and
    each struct of ``bytes`` and ``path``, as the package datasets writes them.
    """
    frame = unpack_pictures(frame, folder)
    texts = [name for name, dtype in frame.collect_schema().items() if dtype == pl.String]
    if not texts:
        return frame
    first = frame.select(texts).head(1).collect(engine="streaming")
    found = [n for n in texts if first.height and is_picture_path(first[n][0], folder)]
    if not found:
        return frame
    return frame.with_columns(picture_bytes(pl.col(n), folder) for n in found)


def unpack_pictures(frame: pl.LazyFrame, folder: Path | None = None) -> pl.LazyFrame:
    """``frame`` with the bytes of each struct of ``bytes`` and ``path``; where there are none, those of the file at the
    path below ``folder``; of a live frame (no folder), which is the user's own, at the path as it stands.
    """
    packed = [name for name, dtype in frame.collect_schema().items() if _packs_picture(dtype)]
    if not packed:
        return frame

    def unpack(name: str) -> pl.Expr:
        kept, path = (pl.col(name).struct.field(part) for part in ("bytes", "path"))
        read = picture_bytes(pl.when(kept.is_null()).then(path.cast(pl.String)), folder)
        return kept.fill_null(read).alias(name)

    return frame.with_columns(unpack(name) for name in packed)


def _packs_picture(dtype: pl.DataType) -> bool:
    fields = {field.name: field.dtype for field in dtype.fields} if isinstance(dtype, pl.Struct) else {}
    return set(fields) == {"bytes", "path"} and fields["bytes"] == pl.Binary


def is_picture_path(value: str | None, folder: Path) -> bool:
    try:
        return value is not None and value.lower().endswith(PICTURES) and (folder / value).is_file()
    except (OSError, ValueError):
        return False


def picture_bytes(paths: pl.Expr, folder: Path | None) -> pl.Expr:
    """Paths relative to ``folder`` as the bytes of those files. Raises BadData for one that leads out of it.

    Without a folder any path is read.
    """
    inside = None if folder is None else folder.resolve()

    def read(column: pl.Series) -> pl.Series:
        return pl.Series(column.name, [_bytes(v, inside) for v in column], dtype=pl.Binary)

    return paths.map_batches(read, return_dtype=pl.Binary, is_elementwise=True)


def _bytes(value: str | None, folder: Path | None) -> bytes | None:
    if value is None:
        return None
    try:
        at = ((folder or Path()) / value).resolve()
        if folder is not None and not at.is_relative_to(folder):
            raise BadData(
                f"The picture {value!r} lies outside the folder {folder}.", "Put pictures beside their table."
            )
        if not at.is_file() or at.stat().st_size > LARGEST:
            below = folder or Path().resolve()
            raise BadData(f"There is no picture {value!r} in {below}, or it is larger than {LARGEST >> 20} MiB.")
        return at.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        raise BadData(f"The picture {value!r} cannot be read ({error}).") from None
