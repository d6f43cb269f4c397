"""Several trainings heard as one."""

from __future__ import annotations

import logging

import pytest

from evermodel.cli.output import print_epochs
from evermodel.core.model.training import label_epochs, label_training, number_epochs_on
from evermodel.core.records.learning_curve import Epoch


def test_numbers_that_begin_anew_go_on_from_the_last():
    heard = []
    hear = number_epochs_on(lambda epoch: heard.append(epoch.number))
    for number in (1, 2, 3, 1, 2, 1, 1, 10, 20, 10, 20):
        hear(Epoch(number, loss=0.5))
    assert heard == [1, 2, 3, 4, 5, 6, 7, 16, 26, 36, 46]


def test_an_epoch_says_which_training_and_which_member_it_is_of():
    heard = []
    hear = label_epochs(label_training(heard.append, "refit on all rows"), "recent")
    hear(Epoch(1, loss=0.5))
    assert (heard[0].training, heard[0].member) == ("refit on all rows", "recent")


@pytest.mark.parametrize(
    ("level", "quiet", "printed"), [("WARNING", False, False), ("INFO", False, True), ("INFO", True, False)]
)
def test_a_pipe_gets_epochs_only_on_request(level, quiet, printed, capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger("evermodel"), "level", getattr(logging, level))
    logging.getLogger("evermodel").manager._clear_cache()
    with print_epochs(quiet=quiet) as on_epoch:
        on_epoch(Epoch(3, loss=0.5, training="challenger by refit"))
    err = capsys.readouterr().err
    assert err == ("challenger by refit: epoch 3    loss 0.5000\n" if printed else "")
