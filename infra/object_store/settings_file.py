"""The file of settings in the root of a bucket."""

from pathlib import Path
from tempfile import TemporaryDirectory

from dropledger.core.errors import ConfigurationError, NotInstalled
from dropledger.infra.object_store.bucket import Bucket, Gone

_MOST_BYTES = 64 << 10


def settings_in(bucket: Bucket, name: str) -> bytes | None:
    """What the object `name` holds, by one request; None where it is not there.

    Raises:
        ConfigurationError: it cannot be read, or is far too large for a file of settings; there is no such bucket, or
            no boto3.
        Unavailable: no answer comes.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "settings"
        try:
            bucket.get(name, path)
        except Gone:
            return None
        except ModuleNotFoundError as error:
            raise NotInstalled(f"{bucket.uri} cannot be reached without boto3", "aws") from error
        except ConfigurationError as error:
            bucket.check()  # where the bucket itself is not there, or out of reach, this says so
            raise ConfigurationError(
                f"{bucket.uri_of(name)} cannot be read",
                why=error.why,
                hint="allow s3:GetObject on it, and s3:ListBucket, without which no bucket says that an object is not "
                "there; docs/aws.md lists the permissions",
            ) from error
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigurationError(
                f"{bucket.uri_of(name)} is no file of settings",
                why=f"it is larger than {_MOST_BYTES >> 10} KiB",
                hint="delete it, or give it another name",
            )
        return path.read_bytes()
