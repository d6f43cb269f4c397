"""Several trainings heard as one."""

from __future__ import annotations

from evermodel.core.model.training import number_epochs_on
from evermodel.core.records.learning_curve import Epoch


def test_numbers_that_begin_anew_go_on_from_the_last():
    heard = []
    hear = number_epochs_on(lambda epoch: heard.append(epoch.number))
    for number in (1, 2, 3, 1, 2, 1, 1, 10, 20, 10, 20):
        hear(Epoch(number, loss=0.5))
    assert heard == [1, 2, 3, 4, 5, 6, 7, 16, 26, 36, 46]
