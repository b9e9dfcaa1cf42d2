"""Spark and Delta behind the stand-in: one Spark session per connection, tables and views that outlive the process.

Spark keeps its catalog in memory, because a metastore would cost each statement more than the statement. Tables
are found again at the start by their folders (Delta's log says the rest), views by `views.json`.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import sql
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from session import Session
from views import Views

CATALOG = "spark_catalog"
SPARK = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.sources.default": "delta",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    # Delta 4.4 leaves parameters unbound under Spark 4.2's new way of putting them into the text.
    "spark.sql.legacy.parameterSubstitution.constantsOnly": "true",
    # What follows makes small statements fast, and changes no result.
    "spark.default.parallelism": "1",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.databricks.delta.merge.materializeSource": "none",
    "spark.databricks.delta.incremental.commit.verify": "false",
    "spark.databricks.delta.properties.defaults.checkpointInterval": "100",
    "spark.databricks.delta.stats.skipping": "false",
    # Of each table that was ever used Delta keeps some 4 MB for an hour, of dropped ones too; this is its whole name.
    "spark.databricks.delta.delta.log.cacheSize": "64",
    "spark.buffer.pageSize": "1m",  # of what each aggregate takes and gives back
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "FATAL",
    # What Spark remembers of statements that are over is read by nobody here.
    "spark.sql.ui.retainedExecutions": "10",
    "spark.ui.retainedJobs": "10",
    "spark.ui.retainedStages": "10",
    "spark.ui.retainedTasks": "100",
    "spark.driver.memory": "2g",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}
# Compiling what runs hardly oftener than once takes longer than running it: the thresholds are ten times the usual.
JAVA = (
    "-XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError -XX:Tier4InvocationThreshold=50000 -XX:Tier4CompileThreshold=150000"
    " -XX:Tier4MinInvocationThreshold=6000 -XX:Tier4BackEdgeThreshold=400000"
)


class Engine:
    """The one Spark of the process, over a folder."""

    def __init__(self, folder: Path, jars: Path) -> None:
        self.warehouse = folder / "warehouse"
        self.views = Views(folder / "views.json")
        self.volumes = sql.Volumes(folder / "Volumes")
        self.owners: dict[str, str] = {}  # of schemas that one principal made and granted nobody
        for left in folder.glob("spark-*"):  # by a server that was killed
            shutil.rmtree(left, ignore_errors=True)
        self.scratch = Path(tempfile.mkdtemp(prefix="spark-", dir=folder))
        settings = {
            **SPARK,
            "spark.driver.extraClassPath": os.pathsep.join(str(jar) for jar in sorted(jars.glob("*.jar"))),
            "spark.driver.extraJavaOptions": f"{JAVA} -Djava.io.tmpdir={self.scratch}",
            "spark.local.dir": str(self.scratch),
            "spark.sql.warehouse.dir": str(self.warehouse),
        }
        os.environ.update(SPARK_LOCAL_IP="127.0.0.1", SPARK_LOCAL_DIRS=str(self.scratch))
        builder = SparkSession.builder.master("local[2]")
        for name, value in settings.items():
            builder = builder.config(name, value)
        self.spark = builder.getOrCreate()
        self._find_again()

    def close(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)

    def ended(self) -> int:
        """Wait for the end of Spark's JVM, which is to outlive all statements; its exit code."""
        gateway: Any = self.spark.sparkContext._gateway
        return int(gateway.proc.wait())

    def cancel(self, group: str, why: str) -> None:
        """End the jobs of a statement, those that it has yet to start as well."""
        with suppress(Py4JJavaError):
            self.spark.sparkContext._jsc.sc().cancelJobGroupAndFutureJobs(group, why)

    def _find_again(self) -> None:
        """Enter the schemas, tables and views of earlier servers of this folder into the catalog."""
        for schema in sorted(self.warehouse.glob("*.db")):
            self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS `{schema.name.removesuffix('.db')}`")
        for folder in sorted([*self.warehouse.glob("*.db/*"), *self.warehouse.glob("*")]):
            if any(folder.glob("_delta_log/*.json")):
                inside = folder.parent != self.warehouse
                self._enter(folder.parent.name.removesuffix(".db") if inside else "default", folder.name)
            elif not folder.name.endswith(".db"):
                shutil.rmtree(folder)  # a table whose making was interrupted: its name could not be used again
        for schema_name, statement in self.views.statements():
            session = self.spark.newSession()
            with suppress(PySparkException):  # a view of a table that is gone
                session.sql(f"USE SCHEMA {schema_name}")
                session.sql(statement)

    def _enter(self, schema: str, name: str) -> None:
        """Enter a managed Delta table whose folder exists: SQL would only take such a folder for an external one."""
        jvm: Any = self.spark._jvm
        tables = jvm.org.apache.spark.sql.catalyst.catalog
        changes = {
            "identifier": jvm.org.apache.spark.sql.catalyst.TableIdentifier(name, jvm.scala.Option.apply(schema)),
            "tableType": tables.CatalogTableType.MANAGED(),
            "storage": tables.CatalogStorageFormat.empty(),
            "schema": jvm.org.apache.spark.sql.types.StructType(),
            "provider": jvm.scala.Option.apply("delta"),
        }
        catalog = self.spark._jsparkSession.sessionState().catalog()
        if not hasattr(self, "_like"):
            self.spark.sql("CREATE TABLE default.like_others (a INT) USING parquet")
            some = jvm.org.apache.spark.sql.catalyst.TableIdentifier("like_others", jvm.scala.Option.apply("default"))
            self._like = catalog.getTableMetadata(some)
            self.spark.sql("DROP TABLE default.like_others")
        places = range(self._like.productArity())
        fields = [changes.get(self._like.productElementName(at), self._like.productElement(at)) for at in places]
        catalog.externalCatalog().createTable(self._like.copy(*fields), False)

    def session(
        self, catalog: str | None, schema: str | None, settings: Mapping[str, str], principal: str = ""
    ) -> Session:
        return Session(self, catalog, schema, settings, principal)
