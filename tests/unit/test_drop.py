"""Identity and as_of of a drop."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropledger.core.as_of_in_name import as_of_in_name
from dropledger.core.drop import AsOfSource, DropHash, iso, parse_moment
from dropledger.core.errors import DataRefused

CONTENT = b"AccountID,CustomerID,Balance,AccountType\n1001,1,9500.00,Savings\n"


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def drop_hash(feed: str, as_of: datetime, *chunks: bytes) -> DropHash:
    found = DropHash(feed, as_of)
    for chunk in chunks:
        found.update(chunk)
    return found


# drop_id


def test_drop_id_is_the_documented_formula():
    formula = hashlib.sha256(b"account\x002025-10-31T00:00:00Z\x00" + CONTENT).hexdigest()[:16]

    assert drop_hash("account", at(2025, 10, 31), CONTENT).drop_id == formula


def test_sha256_is_that_of_the_bytes_alone():
    assert drop_hash("account", at(2025, 10, 31), CONTENT).sha256 == hashlib.sha256(CONTENT).hexdigest()


@given(st.lists(st.binary(max_size=20)))
def test_ids_do_not_depend_on_how_the_bytes_come_in_pieces(chunks):
    whole, pieces = (drop_hash("account", at(2025, 10, 31), *parts) for parts in ([b"".join(chunks)], chunks))

    assert (whole.drop_id, whole.sha256) == (pieces.drop_id, pieces.sha256)


def test_drop_id_stays_the_same_in_another_zone():
    there = at(2025, 10, 31).astimezone(timezone(timedelta(hours=-7)))

    assert drop_hash("account", there, CONTENT).drop_id == drop_hash("account", at(2025, 10, 31), CONTENT).drop_id


@pytest.mark.parametrize(
    ("feed", "as_of", "content"),
    [
        ("customer", at(2025, 10, 31), CONTENT),
        ("account", at(2025, 10, 31, 0, 0, 0, 1), CONTENT),
        ("account", at(2025, 10, 31), CONTENT + b"\n"),
        ("", at(2025, 10, 31), b"account\0" + CONTENT),
    ],
)
def test_drop_id_changes_with_feed_as_of_and_bytes(feed, as_of, content):
    assert drop_hash(feed, as_of, content).drop_id != drop_hash("account", at(2025, 10, 31), CONTENT).drop_id


# Dates in names


@pytest.mark.parametrize(
    ("name", "as_of"),
    [
        ("accounts_2025-10-31.csv", at(2025, 10, 31)),
        ("accounts_20251031.csv", at(2025, 10, 31)),
        ("accounts_20251031T103000Z.csv", at(2025, 10, 31, 10, 30)),
        ("accounts_2025-10-31T10:30:00Z.csv", at(2025, 10, 31, 10, 30)),
        ("accounts_2025-10-31T10-30-00Z.csv", at(2025, 10, 31, 10, 30)),
        ("accounts_2025-10-31_103000.csv", at(2025, 10, 31, 10, 30)),
        ("accounts 2025-10-31 10:30:59.csv", at(2025, 10, 31, 10, 30, 59)),
        ("2025-10-31.accounts.csv", at(2025, 10, 31)),
        ("accounts20251031part2.csv", at(2025, 10, 31)),
        ("accounts_2024-02-29.csv", at(2024, 2, 29)),
        ("rates_1970-01-01.csv", at(1970, 1, 1)),
        ("accounts_2025-10-31_7.csv", at(2025, 10, 31)),
        ("accounts_2025_10_04.csv", at(2025, 10, 4)),
        ("accounts_2025.10.04.csv.gz", at(2025, 10, 4)),
        ("accounts_20251004-123456.csv", at(2025, 10, 4, 12, 34, 56)),
        ("accounts_20251231_0900.csv", at(2025, 12, 31, 9)),
        ("accounts_2025-12-31-1500.csv", at(2025, 12, 31, 15)),
        ("accounts_20251231_0900_2.csv", at(2025, 12, 31, 9)),
        ("accounts_20251231150001.csv", at(2025, 12, 31, 15, 0, 1)),
        ("accounts_20251231150001Z.csv", at(2025, 12, 31, 15, 0, 1)),
        ("accounts_20251031T1030Z.csv", at(2025, 10, 31, 10, 30)),
        ("accounts_20251031T103000.500Z.csv", at(2025, 10, 31, 10, 30, 0, 500_000)),
        ("accounts_20251031T103000+0200.csv", at(2025, 10, 31, 8, 30)),
        ("accounts_20251031_103000+02:00.csv", at(2025, 10, 31, 8, 30)),
        ("accounts_20251031T003000+0200.csv", at(2025, 10, 30, 22, 30)),
        ("accounts_20251031T203000-0500.csv", at(2025, 11, 1, 1, 30)),
        ("accounts_20251031_1030_UTC.csv", at(2025, 10, 31, 10, 30)),
        ("accounts_2025-10-31_10-30-59.csv", at(2025, 10, 31, 10, 30, 59)),
        ("accounts_1_2_2025-10-31.csv", at(2025, 10, 31)),
        ("accounts_2025-10-31.1.csv", at(2025, 10, 31)),
        ("accounts_0033-01-31.csv", at(33, 1, 31)),
        ("accounts_20251031_123456789.csv", at(2025, 10, 31)),
    ],
)
def test_date_or_timestamp_in_a_name_is_found(name, as_of):
    assert as_of_in_name(name) == as_of


@pytest.mark.parametrize(
    "name",
    [
        "accounts.csv",
        "accounts_7.csv",
        "accounts_2025.csv",
        "accounts_12345678.csv",
        "accounts_1234-56-78.csv",
        "accounts_1761904800.csv",
        "accounts_2099887766.csv",
        "accounts_DE89370400440532013000.csv",
        "accounts_120251031.csv",
        "accounts_202510311.csv",
        "",
    ],
)
def test_digits_that_are_no_date_are_left_alone(name):
    assert as_of_in_name(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "accounts_2025-10-01_to_2025-10-31.csv",
        "accounts_20251001_20251031.csv",
        "accounts_2025-10-31_20251101.csv",
        "accounts_2025-10-31_made_2025-10-31T103000Z.csv",
    ],
)
def test_two_different_dates_are_refused(name):
    with pytest.raises(DataRefused, match="2 different dates") as refused:
        as_of_in_name(name)

    assert refused.value.rule == "ambiguous_as_of"
    assert "--as-of" in refused.value.hint


@pytest.mark.parametrize("name", ["accounts_2025-10-31_20251031.csv", "2025-10-31/accounts_2025-10-31.csv"])
def test_one_date_twice_is_one_date(name):
    assert as_of_in_name(name) == at(2025, 10, 31)


def test_two_dates_joined_by_an_underscore_are_two_dates():
    with pytest.raises(DataRefused):
        as_of_in_name("accounts_2025-10-01_2025-10-31.csv")


@pytest.mark.parametrize("name", ["accounts_2025-10-31_990001.csv", "accounts_12345678_2025-10-31.csv"])
def test_number_beside_a_date_does_not_hide_it(name):
    assert as_of_in_name(name) == at(2025, 10, 31)


@pytest.mark.parametrize(
    "name",
    [
        "accounts_20250229.csv",
        "accounts_2025-02-30.csv",
        "accounts_20251301.csv",
        "accounts_2025_13_01.csv",
        "accounts_2025-1031.csv",
        "accounts_04-10-2025.csv",
        "accounts_04.10.2025.csv",
        "accounts_04102025.csv",
        "accounts_04102025_103000.csv",
        "accounts_31102025103000.csv",
        "accounts_2025103110.csv",
        "accounts_202510311030.csv",
        "accounts_20251031103000123.csv",
        "accounts_20251031246000.csv",
        "accounts_20251231_2400.csv",
        "accounts_20251231T240000Z.csv",
        "accounts_20251231_0960.csv",
        "accounts_2025-10-31_103060.csv",
        "accounts_20251031T10.csv",
        "accounts_20251031T103.csv",
        "accounts_20251031T103000.5.csv",
        "accounts_20251031_103000-5.csv",
        "accounts_20251031_103000+9900.csv",
        "accounts_20251031_103000_EST.csv",
        "accounts_20251031T103000CET.csv",
        "accounts_2025-10-31_EST.csv",
        "accounts_20251031_103000_GMT+2.csv",
        "accounts_20251031_0930PM.csv",
        "accounts_20251031_10h30.csv",
        "accounts_2025-10-31_10-30.csv",
        "accounts_2025-10-31.1030.csv",
        "accounts_2025-10-31+0200.csv",
        "accounts_2025-1-5.csv",
        "accounts_31Oct2025.csv",
        "accounts_Oct-31-2025.csv",
        "accounts_2025-Oct-31.csv",
        "accounts_04-10-2025_2025-10-04.csv",
    ],
)
def test_what_is_a_date_or_a_time_in_part_is_refused(name):
    with pytest.raises(DataRefused) as refused:
        as_of_in_name(name)

    assert refused.value.rule == "ambiguous_as_of"
    assert "--as-of" in refused.value.hint


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31, 23, 59, 59)).map(
        lambda found: found.replace(microsecond=0)
    ),
    st.sampled_from(["%Y-%m-%d", "%Y%m%d", "%Y_%m_%d", "%Y.%m.%d"]),
    st.sampled_from(["", "T%H%M%S", "T%H%MZ", "-%H%M", "_%H%M", "_%H%M%S", "-%H%M%S", "_%H%M%SZ", "_%H%M%S+0000"]),
    st.sampled_from(["", "_final", ".1", "_part7"]),
)
def test_every_form_is_read_for_every_moment(moment, day, time, behind):
    fitting = datetime.strptime(moment.strftime(day + time.removesuffix("+0000")), day + time.removesuffix("+0000"))
    suffix = behind if not (time and behind == ".1") else "_1"

    assert as_of_in_name(f"accounts_{moment.strftime(day + time)}{suffix}.csv") == fitting.replace(tzinfo=UTC)


# Moments as text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (at(2025, 10, 31), "2025-10-31T00:00:00Z"),
        (at(2025, 10, 31, 10, 30, 5), "2025-10-31T10:30:05Z"),
        (at(2025, 10, 31, 10, 30, 5, 500_000), "2025-10-31T10:30:05.500000Z"),
        (datetime(2025, 10, 31, 1, tzinfo=timezone(timedelta(hours=2))), "2025-10-30T23:00:00Z"),
        (at(1, 1, 1), "0001-01-01T00:00:00Z"),
    ],
)
def test_iso_is_utc_with_a_fraction_only_where_there_is_one(moment, text):
    assert iso(moment) == text


@given(st.datetimes(timezones=st.just(UTC)))
def test_iso_is_read_back(moment):
    assert parse_moment(iso(moment)) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-10-31", at(2025, 10, 31)),
        (" 2025-10-31T10:30 ", at(2025, 10, 31, 10, 30)),
        ("2025-10-31T10:30:00Z", at(2025, 10, 31, 10, 30)),
        ("2025-10-31T10:30:00+02:00", at(2025, 10, 31, 8, 30)),
        ("20251031T103000Z", at(2025, 10, 31, 10, 30)),
        ("2025-12-24T10:24", at(2025, 12, 24, 10, 24)),
    ],
)
def test_moment_without_a_zone_is_utc(text, moment):
    assert parse_moment(text) == moment
    assert parse_moment(text).utcoffset() == timedelta(0)


OUTSIDE = ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"]


@pytest.mark.parametrize(
    "text", ["", "today", "31.10.2025", "2025-02-30", "2025-12-31T24:00:00Z", "20251231T240000", *OUTSIDE]
)
def test_text_that_is_no_moment_is_an_error(text):
    with pytest.raises(ValueError, match=r".+"):
        parse_moment(text)


def test_sources_of_as_of_stand_in_order_of_precedence():
    assert list(AsOfSource) == ["option", "file_name", "metadata", "modified"]
