"""The SQL of pipelines as sqlglot reads and writes it: what both engines take."""

from typing import ClassVar

from sqlglot.dialects.databricks import Databricks
from sqlglot.dialects.dialect import NormalizationStrategy


class Portable(Databricks):
    """Databricks' words with the quotes of standard SQL, and names that are alike whatever their case."""

    NORMALIZATION_STRATEGY = NormalizationStrategy.CASE_INSENSITIVE

    class Tokenizer(Databricks.Tokenizer):
        """Quotes as the standard has them."""

        IDENTIFIERS: ClassVar = ['"']
        QUOTES: ClassVar = ["'"]
        STRING_ESCAPES: ClassVar = ["'"]
