"""What a contract may not say of the form of its files, as it says something else too."""

import codecs

from dropledger.core.contracts.contract import Contract

_NO_TEXT = frozenset({"utf-7", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "mbcs", "oem", "undefined"})


def known_encoding(name: str) -> str:
    """An encoding by the name that it has here, whatever its case.

    Raises:
        ValueError: there is none of this name.
    """
    try:
        found = codecs.lookup(name)
        codecs.getincrementaldecoder(name)
        "a,;".encode(name)  # what is no encoding of texts fails here
    except (LookupError, UnicodeError, TypeError, AttributeError) as error:
        raise ValueError(_unknown(name)) from error
    if found.name in _NO_TEXT:
        raise ValueError(_unknown(name))
    return "utf-8" if found.name in {"utf-8", "utf-8-sig"} else name.lower()


def _unknown(name: str) -> str:
    return f"there is no encoding '{name}'; use its IANA name, like utf-8, utf-16, windows-1252 or iso-8859-15"


def refuse_unfit_form(contract: Contract) -> None:
    """Refuse what contradicts itself.

    Raises:
        ValueError: with what to mend.
    """
    if contract.escape is not None and contract.quote == "none":
        raise ValueError("escape is read within quoted cells, and quote: none says that there are none")
    if contract.header == "none":
        _refuse_beside_no_header(contract)
    if contract.trailer is not None:
        for name in contract.trailer.sums:
            column = next((column for column in contract.columns if column.name == name), None)
            if column is None:
                raise ValueError(f"trailer.sums names '{name}', which is not among the columns")
            if column.type != "bigint" and column.decimal is None:
                raise ValueError(f"trailer.sums names '{name}', which is no number")


def _refuse_beside_no_header(contract: Contract) -> None:
    if contract.preamble is not None and contract.preamble.lines is None:
        raise ValueError("preamble: {until_header: true} looks for a header, and header: none says that there is none")
    if contract.ignore:
        raise ValueError("ignore names headers, and header: none says that there are none")
