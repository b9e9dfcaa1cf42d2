"""Whether warehouse, archive and artifacts belong together."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dropledger.core.drop import DROP_ID_DIGITS, sha256_of
from dropledger.core.errors import ConfigurationError, NoLedger
from dropledger.core.ledger import ledger
from dropledger.core.ledger.fault import meets_one_file
from dropledger.core.ledger.ledger import LedgerRow
from dropledger.core.ports.session import Session
from dropledger.core.ports.store import Store
from dropledger.core.ports.warehouse import Warehouse
from dropledger.core.steps.publish import MANIFEST, read_manifest

_REBUILD = "restore the warehouse from a backup, or rebuild it from the archive: dropledger replay"
_AGAIN = "restore it from a backup of the archive, or drop the same file again"
_EXPORT = "dropledger export without options writes the artifacts again"
_LOOKED_AT = 50
_ARCHIVE_DEPTH = 5  # archive/<feed>/<yyyy>/<mm>/<dd>/<drop_id>-<name>


@dataclass(frozen=True, slots=True)
class FileDifference:
    """A file under the root that is not what the ledger or the manifest says, and what to try."""

    name: str
    problem: str
    hint: str
    missing: bool = False


def refuse_lost_warehouse(store: Store, warehouse: Warehouse) -> None:
    """Stop before an empty warehouse is made beside an archive that has drops.

    Raises:
        ConfigurationError: the warehouse is lost, or its name is mistyped.
    """
    # Asked again, as another process may have made it and archived its first drop between the two looks.
    if not warehouse.exists() and has_files(store) and not warehouse.exists():
        raise lost(store, warehouse, "there is none")


def refuse_foreign_warehouse(store: Store, warehouse: Warehouse, session: Session) -> None:
    """Stop where the ledger tells of drops that this root has not, or knows nothing of those that it has.

    Raises:
        ConfigurationError: the warehouse is a new one, or that of another root.
        Conflict: another process has written it meanwhile, and archived what this session does not know.
    """
    if _any_archived(store, ledger.newest_in_history(session, 1)):
        return
    newest = ledger.newest_in_history(session, _LOOKED_AT)
    if not newest:
        if not session.count("drop_ledger") and has_files(store):
            warehouse.confirm()
            raise lost(store, warehouse, "no drop is in it")
    elif not (_any_archived(store, newest) or in_work(store, session) or _any_archived(store, newest)):
        warehouse.confirm()
        raise ConfigurationError(
            f"the warehouse {warehouse.location} is not that of the root {store.root}",
            why="it tells of drops, and none of their files is in the archive of this root",
            hint="let each root have a warehouse of its own (leave --warehouse out), or restore archive/ from a backup",
        )


def _any_archived(store: Store, rows: Sequence[LedgerRow]) -> bool:
    return any(store.exists(row.archive_name) for row in rows)


def is_lost(store: Store, warehouse: Warehouse) -> bool:
    """Whether the archive has drops, and no ledger is there or one without any drop."""
    if not warehouse.exists():
        return has_files(store)
    try:
        with warehouse.session(read_only=True) as session:
            known = session.count("drop_ledger") if session.has_table("drop_ledger") else 0
    except NoLedger:
        known = 0
    return not known and has_files(store)


def in_work(store: Store, session: Session) -> frozenset[str]:
    """The drops that are in the ledger and, as a process died, still in work: they are not in the archive yet."""
    return ledger.drops_of(session, store.claim_ids())


def has_files(store: Store) -> bool:
    # What lies elsewhere in the archive was never put there by a drop, as notes that people leave for one another.
    return any(name.count("/") == _ARCHIVE_DEPTH for name in store.names("archive/"))


def lost(store: Store, warehouse: Warehouse, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the warehouse {warehouse.location} is lost, or is not that of the root {store.root}",
        why=f"{why}, and the archive of the root has drops",
        hint=f"correct --warehouse if it is mistyped; else {_REBUILD}",
    )


def archive_differences(store: Store, session: Session, unarchived: Collection[str]) -> list[FileDifference]:
    """Archived files that no ledger row has, and ledger rows without a file, but for drops that are still in work."""
    rows = ledger.archived(session)
    found = set(store.names("archive/"))
    known = ledger.drop_ids(session)
    return [
        FileDifference(
            name,
            f"the {'file' if name == row.archive_name else 'control file'} of drop {row.drop_id} is missing",
            _AGAIN,
            missing=name == row.archive_name,
        )
        for row in rows
        if row.drop_id not in unarchived
        for name in row.archived
        if name not in found
    ] + [
        FileDifference(
            name,
            "no drop of the ledger has this file, so warehouse and archive are of different moments",
            "restore archive/ and warehouse/ from one backup, or drop the file again",
        )
        for name in sorted(found)
        if name.rpartition("/")[2][:DROP_ID_DIGITS] not in known
    ]


def changed_files(store: Store, rows: Sequence[LedgerRow], unarchived: Collection[str]) -> list[FileDifference]:
    """Those of the archived files whose bytes are not those that were received; missing ones are told elsewhere."""
    return [
        FileDifference(
            name,
            f"it does not have the SHA-256 of drop {row.drop_id}: it was changed, or cannot be read",
            _AGAIN,
        )
        for row in rows
        if row.drop_id not in unarchived
        for name, sha256 in row.archived.items()
        if store.exists(name) and not is_whole(store, name, sha256)
    ]


def artifact_differences(store: Store, session: Session) -> list[FileDifference]:
    """Artifacts that are not what the manifest says, or a manifest that is not that of the ledger.

    What is committed and not yet published is no difference: whoever publishes next writes it.
    """
    to_publish = ledger.to_publish(session)
    settled = to_publish.current and not to_publish.drops
    newest = ledger.newest(session)
    if not store.exists(MANIFEST):
        return [FileDifference(MANIFEST, "it is missing", _EXPORT)] if settled and newest else []
    listing = read_manifest(store)
    if listing is None:
        return [FileDifference(MANIFEST, "it cannot be read", _EXPORT)]
    found = []
    if settled and listing["drop_id"] != newest:
        problem = f"it stands for drop {listing['drop_id']}, and the newest of the ledger is {newest}"
        found.append(FileDifference(MANIFEST, problem, _EXPORT))
    for entry in listing["artifacts"]:
        name = f"outputs/{entry['name']}"
        if not store.exists(name):
            found.append(FileDifference(name, "it is missing, and the manifest has it", _EXPORT))
        elif not is_whole(store, name, entry["sha256"]):
            found.append(FileDifference(name, "it does not have the SHA-256 that the manifest has for it", _EXPORT))
    return found


def is_whole(store: Store, name: str, sha256: str) -> bool:
    """Whether a file is there under the root, can be read, and has these bytes."""
    try:
        return sha256_of(store.local_copy(name)) == sha256
    except (OSError, ConfigurationError) as error:
        if isinstance(error, OSError) and not meets_one_file(error):
            raise
        return False
