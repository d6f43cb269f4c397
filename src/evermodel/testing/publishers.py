"""What every publisher must promise. ``check_publisher`` runs all checks; its error names the promise that is broken.

``publications`` are two versions of one model. ``read`` is a reader of the other system: it says which version a client
of ``to`` would get now, by loading it, and raises where it cannot be loaded. ``new_place`` gives an empty place each
time.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evermodel.core.errors import EvermodelError
from evermodel.core.publication import PUBLISHERS, Publication, Publisher, PublisherModule
from evermodel.testing.check_runner import run_checks

logger = logging.getLogger(__name__)
Read = Callable[[str], str]


@dataclass(frozen=True)
class Trial:
    """A publisher, two versions to publish, a reader, and empty places."""

    module: PublisherModule
    publish: Publisher
    publications: tuple[Publication, Publication]
    read: Read
    new_place: Callable[[], str]


Check = Callable[[Trial], None]


def check_readers_get_what_was_published(trial: Trial) -> None:
    """A reader loads the version that was published last, and ``find_published`` names it."""
    to, (one, two) = trial.new_place(), trial.publications
    assert trial.module.find_published(one.name, to) == "", "it finds a version in an empty place"
    for publication in (one, two, one):  # the third is a rollback
        where = trial.publish(publication, to)
        assert where.strip(), "it does not say where the version is"
        found = trial.module.find_published(one.name, to)
        assert found == publication.version, f"it says that {found!r} is published, not {publication.version}"
        read = trial.read(to)
        assert read == publication.version, f"readers get {read!r}, not {publication.version}"


def check_publishing_again_changes_nothing(trial: Trial) -> None:
    """A version that is published already stays where it is."""
    to, (one, _) = trial.new_place(), trial.publications
    first, second = trial.publish(one, to), trial.publish(one, to)
    assert first == second, f"it was put at {second} after {first}"
    assert trial.read(to) == one.version


def check_a_failure_leaves_the_version_before(trial: Trial) -> None:
    """Where publishing fails midway, readers get the version before; the error is one of ours, with a sentence."""
    to, (one, two) = trial.new_place(), trial.publications
    trial.publish(one, to)
    broken = dataclasses.replace(
        two, files=two.files / "missing", stored=two.stored / "missing", model=dataclasses.replace(two.model, obj=None)
    )
    try:
        trial.publish(broken, to)
    except EvermodelError as error:
        assert error.message.strip(), "the error has no message"
    except Exception as error:
        raise AssertionError(f"it raised {type(error).__name__}: {error}") from error
    else:
        raise AssertionError("half a version was published without an error")
    assert trial.read(to) == one.version, "readers no longer get the version before"
    assert trial.module.find_published(one.name, to) == one.version


def check_readers_never_get_a_part(trial: Trial) -> None:
    """Whoever reads while versions are published gets one of them, whole."""
    to, (one, two) = trial.new_place(), trial.publications
    trial.publish(one, to)
    end = threading.Event()
    problems: list[str] = []

    def keep_reading() -> None:
        while not end.is_set():
            try:
                version = trial.read(to)
            except Exception as error:  # whatever a reader of half a version raises
                logger.info("A reader failed.", exc_info=True)
                problems.append(f"{type(error).__name__}: {error}")
                continue
            if version not in (one.version, two.version):
                problems.append(f"read {version!r}")

    reader = threading.Thread(target=keep_reading)
    reader.start()
    try:
        for publication in (two, one) * 3:
            trial.publish(publication, to)
    finally:
        end.set()
        reader.join()
    assert not problems, problems[0]


CHECKS: tuple[Check, ...] = (
    check_readers_get_what_was_published,
    check_publishing_again_changes_nothing,
    check_a_failure_leaves_the_version_before,
    check_readers_never_get_a_part,
)


def check_publisher(
    name: str, publications: tuple[Publication, Publication], read: Read, new_place: Callable[[], str | Path]
) -> int:
    """Runs every check on the publisher ``name``; returns how many ran. Raises AssertionError naming what is broken."""
    publish = PUBLISHERS.load(name)
    trial = Trial(PUBLISHERS.load_module(name), publish, publications, read, lambda: str(new_place()))
    return run_checks(CHECKS, "publisher", name, trial)
