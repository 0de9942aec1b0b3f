"""Which tests may run side by side (`make test` runs two at a time)."""

from pathlib import Path

import pytest

# Their tests start processes, wait for them, and mean the seconds they name: one by one, in one worker.
ONE_BY_ONE = {"e2e", "faults", "integration", "interop"}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.pluginmanager.hasplugin("xdist"):
        return
    here = Path(__file__).parent
    for item in items:
        place = item.path.relative_to(here)
        group = "processes" if place.parts[0] in ONE_BY_ONE else str(place)
        item.add_marker(pytest.mark.xdist_group(group))
