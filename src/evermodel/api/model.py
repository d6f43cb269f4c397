"""A model in a registry: its versions, and everything that is done with it."""

from __future__ import annotations

from evermodel.api.collection import Collection
from evermodel.api.observing import ObservedModel
from evermodel.api.releasing import ReleasedModel
from evermodel.api.searching import SearchableModel
from evermodel.api.serving import ServedModel
from evermodel.api.updating import UpdatableModel
from evermodel.api.version import Version
from evermodel.registry.inspection import show
from evermodel.registry.lookup import card_of, champion_of, open_store
from evermodel.registry.result_table import ResultTable


class Model(ServedModel, ReleasedModel, UpdatableModel, SearchableModel, ObservedModel):
    """A model of a registry: ``registry["churn"]``. It reads what is stored each time, and so is never out of date.

    Example:
        >>> import evermodel as em
        >>> churn = em.open("models")["churn"]
        >>> churn.champion.name
        'v1'
        >>> print(churn)
        churn: v1 in service, 1 version
    """

    @property
    def champion(self) -> Version:
        """The version in service.

        Raises:
            NotFound: there is no such model.
            AskedWrongly: it was adopted without rows and has had no update yet.
        """
        return Version(champion_of(open_store(self.location), self.name), self.location)

    @property
    def versions(self) -> Collection[Version]:
        """All versions, oldest first; ``to_frame()`` gives a frame, and a notebook shows a table."""
        listing = show(self.name, registry=self.location)
        cards = open_store(self.location).list_cards(self.name)
        table = ResultTable.from_mappings(f"Versions of {self.name}", listing.rows)
        return Collection([Version(card, self.location) for card in cards], table)

    def version(self, name: str) -> Version:
        """One version, for example ``churn.version("v2")``; "champion" is the one in service.

        Raises:
            NotFound: there is no such version; the message lists those there are.
        """
        return Version(card_of(open_store(self.location), self.name, name), self.location)

    def __str__(self) -> str:
        number = len(self.versions)
        return f"{self.name}: {self.champion.name} in service, {number} version{'s' if number > 1 else ''}"

    def _repr_html_(self) -> str:
        return f"<p><strong>{self}</strong></p>{self.versions._repr_html_()}"
