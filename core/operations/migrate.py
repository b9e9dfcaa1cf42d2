"""Moving a ledger to another warehouse: rebuilt there from the archive, and held against the one that it comes from."""

from dropledger.core.errors import ConfigurationError
from dropledger.core.ingest.claims import with_claimed
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.operations.replay import Progress, Selection, rebuild, refuse_unless_there
from dropledger.core.operations.verify import Verified, compare
from dropledger.core.ports.warehouse import Warehouse


def migrate(runtime: Runtime, target: Warehouse, progress: Progress, sample: int = 5) -> Verified:
    """Rebuild the live warehouse in `target`, of whatever kind, and put it in place there if it holds the same.

    Order and times of receipt, deliveries, retractions and quarantined drops are those of the live ledger, which stays
    as it is. Where there are differences nothing is put in place.

    Raises:
        ConfigurationError: there is nothing to move, or a ledger where it is to go.
        DataRefused: a drop can no longer be read under its contract, or a check fails.
        Unavailable: an archived file is missing or was changed.
    """
    return runtime.alone(lambda: _migrate(with_claimed(runtime), target, progress, sample))


def _migrate(runtime: Runtime, target: Warehouse, progress: Progress, sample: int) -> Verified:
    refuse_unless_there(runtime.warehouse)
    runtime.migrate()
    if target.exists():
        with target.session():
            pass  # undoes what a migration that was killed while it was put in place has left
    if target.exists():
        raise ConfigurationError(
            f"there is a ledger at {target.location}",
            why="a migration never writes over one",
            hint="let DATABRICKS_SCHEMA name another schema, or drop that one",
        )
    rebuilt = target.staging_copy("migrating")
    drops = rebuild(runtime, rebuilt, Selection(), progress)
    verified = compare(runtime, rebuilt, drops, sample)
    if verified.differences:
        rebuilt.remove()
    else:
        target.swap_in(rebuilt, "previous")
    return verified
