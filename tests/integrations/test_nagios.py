"""A real Nagios Core 4 that runs our plugin on a real monitor, with the objects that ``integrate nagios`` wrote."""

from __future__ import annotations

import pytest

import evermodel
from scripts import servers
from tests.cli.ground import ask
from tests.integrations.conftest import BAD, WORSE, said
from tests.updating.conftest import rows

OK, WARNING, CRITICAL, UNKNOWN = range(4)


@pytest.fixture
def nagios(registry, tmp_path, program):
    """Nagios with the model "m": quality below .73 is a warning, below .6 critical."""
    if servers.program("nagios") is None:
        pytest.skip("nagios not here; 'sh scripts/parts' gets it")
    limits = ["--warning", "accuracy=0.73:", "--critical", "accuracy=0.6:", "--every", "60m"]
    said("integrate", "nagios", "--to", tmp_path, "--program", program, *limits, registry=registry)
    with servers.nagios(tmp_path / "nagios", tmp_path / "evermodel.cfg") as core:
        yield core


def becomes(core: servers.Nagios, service: str, state: int) -> dict[str, str]:
    """Has the service checked now, and waits until Nagios itself says that it has that state."""
    core.check_now("evermodel", service)
    servers.wait_for(lambda: core.state(service) == state, seconds=30, why=f"{service} {state}: {core.services()}")
    return core.services()[service]


def test_nagios_sees_a_model_go_bad_and_come_back(nagios, registry):
    told = becomes(nagios, "m quality", OK)
    assert told["plugin_output"].startswith("MODEL OK - m v1")
    assert "accuracy 0.7" in told["plugin_output"]
    assert told["performance_data"].startswith("accuracy=0.7")
    becomes(nagios, "m alarms", OK)
    becomes(nagios, "m watched", OK)

    evermodel.watch("m", rows(1000, 50, angle=WORSE), registry=registry)
    told = becomes(nagios, "m quality", WARNING)
    assert "outside range 0.73:" in told["plugin_output"]

    evermodel.watch("m", rows(1000, 51, angle=BAD), registry=registry)
    becomes(nagios, "m quality", CRITICAL)
    told = becomes(nagios, "m alarms", CRITICAL)
    assert "next: evermodel" in told["plugin_output"]

    for seed in range(52, 70):
        if not evermodel.watch("m", rows(1000, seed), registry=registry).alarm:
            break
    becomes(nagios, "m quality", OK)
    becomes(nagios, "m alarms", OK)


def test_a_batch_job_tells_nagios_by_itself(nagios, registry):
    typed = ["check", "m", "--passive", str(nagios.command_file), "--host", "evermodel", "--service", "m batch"]
    assert nagios.state("m batch") is None
    assert ask(typed, registry).code == 0
    servers.wait_for(lambda: nagios.state("m batch") == OK, why="the passive result")
    told = nagios.services()["m batch"]
    assert told["check_type"] == "1", "passive"
    evermodel.watch("m", rows(1000, 51, angle=BAD), registry=registry)
    assert ask(typed, registry).code == 2
    servers.wait_for(lambda: nagios.state("m batch") == CRITICAL, why="the passive result")


def test_what_nagios_cannot_know_is_unknown(registry, tmp_path, program):
    """The model goes: Nagios is told that nothing is known, not that all is well."""
    said("integrate", "nagios", "--to", tmp_path, "--program", program, "--every", "60m", registry=registry)
    objects = tmp_path / "evermodel.cfg"
    objects.write_text(objects.read_text().replace("evermodel_check!m!", "evermodel_check!gone!"))
    if servers.program("nagios") is None:
        pytest.skip("nagios not here; 'sh scripts/parts' gets it")
    with servers.nagios(tmp_path / "nagios", objects) as core:
        told = becomes(core, "m alarms", UNKNOWN)
        assert "There is no model 'gone'" in told["plugin_output"].replace("&#39;", "'")
