"""A plugin whose package was never installed."""

import a_package_that_nobody_has  # noqa: F401
