"""Writes configuration files of monitoring systems and schedulers for the models of a registry."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core.errors import AskedWrongly, BadSetting, NotFound
from evermodel.core.files import write_text
from evermodel.registry.results import Result

NEXT_STEPS = {
    "cron": "crontab {to}/evermodel.cron (it replaces the crontab you have; 'crontab -l' shows that)",
    "systemd": "systemd-analyze verify {to}/evermodel-maintain.service; copy both to /etc/systemd/system; "
    "systemctl enable --now evermodel-maintain.timer",
    "kubernetes": "kubectl apply -f {to}/cronjob.yaml",
    "prometheus": "promtool check config {to}/prometheus.yml; prometheus --config.file={to}/prometheus.yml",
    "alertmanager": "amtool check-config {to}/alertmanager.yml; alertmanager --config.file={to}/alertmanager.yml",
    "grafana": "copy {to}/provisioning over Grafana's own; it reads the dashboards from {to}/dashboards",
    "nagios": "in nagios.cfg: cfg_file={to}/evermodel.cfg; then nagios -v nagios.cfg",
}


@dataclass(frozen=True)
class IntegrateResult(Result):
    """The files that were written for a system, and what to do with them."""

    kind: str
    to: str
    files: tuple[str, ...]
    next: str

    def lines(self) -> list[str]:
        return [
            f"{self.kind}: {len(self.files)} files in {self.to}",
            *(f"  {f}" for f in self.files),
            f"  next  {self.next}",
        ]


def integrate(kind: str, *, to: str | Path, replace: bool = False, **settings: Any) -> IntegrateResult:
    """Write configuration files, ready to load, into the folder ``to``, for ``kind``: prometheus, alertmanager,
    grafana, nagios, cron, systemd or kubernetes.

    ``settings`` are those of ``evermodel integrate KIND --help``. Nothing is written where a file is there that says
    something else, unless ``replace``. Raises NotFound, BadSetting, AskedWrongly, MissingExtra.

        $ evermodel integrate prometheus --to monitoring
    """
    if kind not in NEXT_STEPS:
        raise NotFound.among("system to integrate with", kind, NEXT_STEPS)
    make: Callable[..., Mapping[str, str]] = getattr(
        importlib.import_module(f"evermodel.integrations.config.{kind}"), kind
    )
    unknown = sorted(set(settings) - set(inspect.signature(make).parameters))
    if unknown:
        raise BadSetting(
            f"{kind} has no setting {', '.join(unknown)}.", f"'evermodel integrate {kind} --help' lists them."
        )
    folder = Path(to).expanduser().absolute()
    files = make(folder, **settings)
    _check_overwrite(folder, files, replace)
    for name, text in files.items():
        write_text(folder / name, text)
    return IntegrateResult(kind, str(folder), tuple(files), NEXT_STEPS[kind].format(to=folder))


def _check_overwrite(folder: Path, files: Mapping[str, str], replace: bool) -> None:
    """Raises AskedWrongly where writing would overwrite a file that somebody changed by hand."""
    if folder.exists() and not folder.is_dir():
        raise AskedWrongly(f"`to` must be a folder. Got the file {folder}.")
    there = [n for n, text in files.items() if (folder / n).exists() and (folder / n).read_bytes() != text.encode()]
    if there and not replace:
        raise AskedWrongly(
            f"{folder} holds other versions of {', '.join(there)}.",
            "Use `replace` to write over them, or name another folder.",
        )
