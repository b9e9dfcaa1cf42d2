"""Metrics as Prometheus reads them."""

from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, ...]
"""The name of a metric, and the values of its labels that of the feed first."""


def samples(text: str) -> dict[Series, float]:
    """The values of all series in a text."""
    return {
        (
            sample.name,
            *(sample.labels[label] for label in sorted(sample.labels, key=lambda label: (label != "feed", label))),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def kinds(text: str) -> dict[str, str]:
    """The kind of each metric in a text, by its name."""
    return {family.name: family.type for family in text_string_to_metric_families(text)}
