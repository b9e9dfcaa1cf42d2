"""Kinds of messy files, after those that the Pollock survey of polluted CSV files found, and what each must come to.

In a text, `#1` stands for a key of the file's own, so that all files can go into one ledger.
"""

from dataclasses import dataclass

HEADER = "AccountID,CustomerID,Balance,AccountType\n"
A, B, C = "#1,1,9500.00,Savings\n", "#2,1,10250.50,Savings\n", "#3,2,7.00,Checking\n"
ROWS = A + B + C
CLEAN = HEADER + ROWS
NAMES = "CustomerID,Name,HasLoan\n"

LOADED_A, LOADED_B, LOADED_C = (
    ("#1", "1", "9500.00", "Savings"),
    ("#2", "1", "10250.50", "Savings"),
    ("#3", "2", "7.00", "Checking"),
)


@dataclass(frozen=True)
class Kind:
    """A messy file: `rows` are the lines and cells that history must show, `rejected` the lines and rules of others.

    With a `rule` the whole file is refused, and its reason holds the words of `because`.
    """

    name: str
    content: str | bytes
    rows: tuple[tuple[int, tuple[str | None, ...]], ...] = ()
    rejected: tuple[tuple[int, str], ...] = ()
    duplicates: int = 0
    warned: bool = False
    rule: str | None = None
    because: str = ""

    @property
    def feed(self) -> str:
        return "account" if len(self.rows) == 0 or len(self.rows[0][1]) == 4 else "customer"


def read(
    name: str,
    content: str | bytes,
    *lines: int,
    rejected: tuple[tuple[int, str], ...] = (),
    duplicates: int = 0,
    warned: bool = False,
) -> Kind:
    """The three rows of ROWS, or the first of them, in these lines."""
    loaded = tuple(zip(lines, (LOADED_A, LOADED_B, LOADED_C), strict=False))
    return Kind(name, content, loaded, rejected, duplicates, warned)


def without_first(name: str, content: str, rule: str) -> Kind:
    """Line 2 is refused, B and C are in the lines behind it."""
    return Kind(name, content, ((3, LOADED_B), (4, LOADED_C)), ((2, rule),))


def named(
    name: str, content: str, *rows: tuple[int, tuple[str, ...]], rejected: tuple[tuple[int, str], ...] = ()
) -> Kind:
    """A file of customers."""
    return Kind(name, content, rows, rejected)


def refused(name: str, content: str | bytes, rule: str, because: str = "") -> Kind:
    return Kind(name, content, rule=rule, because=because)


FILES_AND_TABLES = [
    refused("nothing at all", "", "empty_file"),
    refused("a header and no rows", HEADER, "no_rows"),
    read("a single row", HEADER + A, 2),
    read("no line end behind the last row", CLEAN.rstrip(), 2, 3, 4),
    read("blank lines at the end", CLEAN + "\n\n  \n", 2, 3, 4),
    read("blank lines between rows", HEADER + "\n" + A + "\n\n" + B + C, 3, 6, 7),
    refused("no header", ROWS, "no_header", "1,1,9500.00,Savings"),
    refused("a preamble", "Accounts\nBranch 7, all products\n\n" + CLEAN, "header_not_first", "line 4"),
    refused("blank lines before the header", "\n\n" + CLEAN, "header_not_first", "blank lines"),
    refused("Excel's line `sep=;`", "sep=;\n" + CLEAN.replace(",", ";"), "header_not_first", "'sep=;'"),
    refused("a comment before the header", "# nightly job\n" + CLEAN, "header_not_first", "'# nightly job'"),
    refused("group names above the header", "Account,,Money,\n" + CLEAN, "header_not_first", "'Account,,Money,'"),
    read("types or units below the header", HEADER + "id,id,EUR,text\n" + ROWS, 3, 4, 5, rejected=((2, "type"),)),
    read("a line of dashes below the header", HEADER + "---,---,-----,----\n" + ROWS, 3, 4, 5, rejected=((2, "type"),)),
    read("the header once more", CLEAN[: -len(C)] + HEADER + C, 2, 3, 5, rejected=((4, "repeated_header"),)),
    read(
        "files joined, each with a byte order mark",
        "\ufeff" + HEADER + A + "\ufeff" + HEADER + B + C,
        *(2, 4, 5),
        rejected=((3, "repeated_header"),),
    ),
    read(
        "two tables of the same columns",
        HEADER + A + "\n" + HEADER + B + C,
        2,
        5,
        6,
        rejected=((4, "repeated_header"),),
    ),
    refused(
        "two tables, the columns in another order",
        CLEAN + "\nCustomerID,AccountID,Balance,AccountType\n1,4,5.00,Savings\n",
        "second_table",
        "line 6",
    ),
    refused(
        "two tables, as many columns of other names",
        CLEAN + "\nCustomer,Collateral,Worth,Kind\n4,1,5.00,Savings\n",
        "second_table",
        "line 6",
    ),
    refused(
        "two tables, the second with a column more",
        CLEAN + "\nCustomerID,AccountID,Balance,AccountType,Note\n1,4,5.00,Savings,\n",
        "second_table",
        "line 6",
    ),
    read(
        "two tables, the second with fewer columns",
        CLEAN + "\nCustomerID,Name,HasLoan\n1,Ann,No\n",
        *(2, 3, 4),
        rejected=((6, "ragged_row"), (7, "ragged_row")),
    ),
    read("a row of totals at the end", CLEAN + "Total,,19757.50,\n", 2, 3, 4, rejected=((5, "type"),)),
    read("a total without a word", CLEAN + ",,19757.50,\n", 2, 3, 4, rejected=((5, "not_null"),)),
    read("a line of text at the end", CLEAN + "\n3 rows exported\n", 2, 3, 4, rejected=((6, "ragged_row"),)),
    read("a comment between rows", HEADER + A + "# checked\n" + B + C, 2, 4, 5, rejected=((3, "ragged_row"),)),
    read("rows of empty cells", CLEAN + ",,,\n,,,\n", 2, 3, 4, rejected=((5, "not_null"),), duplicates=1),
    refused("a column is missing", CLEAN.replace("Balance", "Saldo"), "missing_column", "lacks Balance"),
    refused("a column stands twice", CLEAN.replace("AccountType", "AccountType,balance"), "repeated_column", "balance"),
    refused(
        "two names without a separator",
        CLEAN.replace("CustomerID,Balance", "CustomerIDBalance"),
        "missing_column",
        "the header lacks CustomerID, Balance; it has two names joined: CustomerIDBalance, "
        "and 3 names over rows of 4 cells",
    ),
    refused(
        "a separator too many in the header",
        CLEAN.replace("CustomerID,", "CustomerID,,"),
        "malformed_header",
        "the header has 5 names, one of them empty, over rows of 4 cells",
    ),
    refused(
        "apostrophes around the names",
        CLEAN.replace(HEADER, "'AccountID','CustomerID','Balance','AccountType'\n"),
        "malformed_header",
        "the names stand in apostrophes",
    ),
    read("columns in another order", "accounttype,Balance,Customer_ID,Account ID\nSavings,9500.00,1,#1\n", 2),
    read("a column more", "AccountID,Branch,CustomerID,Balance,AccountType\n#1,x,1,9500.00,Savings\n", 2, warned=True),
    read(
        "a column without a name", ",AccountID,CustomerID,Balance,AccountType\n0,#1,1,9500.00,Savings\n", 2, warned=True
    ),
    read(
        "a header of 600,000 letters",
        CLEAN.replace("e\n", "e," + "HEADER" * 100_000 + "\n", 1)
        .replace("s\n", "s,\n")
        .replace("Checking\n", "Checking,\n"),
        2,
        3,
        4,
        warned=True,
    ),
    refused("a web page", "<!doctype html>\n<title>Error 500</title>\n", "no_header", "<!doctype html>"),
    refused("a zip archive", b"PK\x03\x04\x14\0\0\0\0\0accounts.csv" + CLEAN.encode(), "other_format", "zip archive"),
    refused("an Excel workbook", b"PK\x03\x04\x14\0\x06\0xl/workbook.xml", "other_format", "Excel workbook (xlsx)"),
    refused("JSON", '[{"AccountID": 1, "Balance": "9500.00"}]\n', "other_format", "the file is JSON"),
]

SEPARATORS_AND_LINE_ENDS = [
    read("semicolons", CLEAN.replace(",", ";"), 2, 3, 4),
    read("a blank behind each comma", CLEAN.replace(",", ", "), 2, 3, 4),
    read(
        "a blank behind each comma, and quotes",
        '"AccountID", "CustomerID", "Balance", "AccountType"\n"#1", "1", "9500.00", "Savings"\n',
        2,
    ),
    refused("tabs", CLEAN.replace(",", "\t"), "unknown_delimiter", "tabs"),
    refused("vertical bars", CLEAN.replace(",", "|"), "unknown_delimiter", "vertical bars"),
    refused("colons", CLEAN.replace(",", ":"), "unknown_delimiter", "colons"),
    refused("blanks, or columns of fixed width", CLEAN.replace(",", "   "), "unknown_delimiter", "blanks"),
    refused("quotes around whole lines", "\n".join(f'"{line}"' for line in CLEAN.splitlines()), "no_header"),
    without_first("semicolons in one row", HEADER + A.replace(",", ";") + B + C, "ragged_row"),
    without_first("blanks in one row", HEADER + A.replace(",", " ") + B + C, "ragged_row"),
    without_first("a separator too few", HEADER + A.replace(",1,", "1,") + B + C, "ragged_row"),
    without_first("a separator too many", HEADER + A.replace(",1,", ",,1,") + B + C, "ragged_row"),
    Kind(
        "a separator too many, the last cell empty",
        "AccountID,CustomerID,AccountType,Balance,Note\n#1,1,Savings,9500,50,\n#2,1,Savings,10250.50,\n",
        ((3, LOADED_B),),
        ((2, "ragged_row"),),
        warned=True,
    ),
    read("a separator at the end of each row", HEADER + ROWS.replace("\n", ",\n"), 2, 3, 4),
    read("a separator at the end of each line", CLEAN.replace("\n", ",\n"), 2, 3, 4),
    Kind(
        "cells below an unnamed end of the header",
        "AccountID,CustomerID,AccountType,Balance,\n#1,1,Savings,9500,50\n#2,1,Savings,10250.50,\n",
        ((3, LOADED_B),),
        ((2, "ragged_row"),),
    ),
    read("carriage returns alone", CLEAN.replace("\n", "\r"), 2, 3, 4),
    read("Windows line ends", CLEAN.replace("\n", "\r\n"), 2, 3, 4),
    read("line ends of all kinds", HEADER + A.replace("\n", "\r\n") + B.replace("\n", "\r") + C, 2, 3, 4),
]

QUOTES_AND_ESCAPES = [
    read(
        "quotes around every cell",
        "\n".join('"' + line.replace(",", '","') + '"' for line in CLEAN.splitlines()),
        2,
        3,
        4,
    ),
    named("blanks around quotes", NAMES + '#1,   "Ann, Lee"  ,No\n', (2, ("#1", "Ann, Lee", "false"))),
    named(
        "a line break in a cell",
        NAMES + '#1,"Ann\nLee",No\n#2,Bo,No\n',
        (2, ("#1", "Ann\nLee", "false")),
        (4, ("#2", "Bo", "false")),
    ),
    refused("a line break in the header", '"Account\nID",CustomerID,Balance,AccountType\n' + ROWS, "malformed_header"),
    refused(
        "a line break in a header that nobody needs",
        HEADER.rstrip() + ',"Note\n9,9,9.00,Savings,"\n' + ROWS,
        "malformed_header",
    ),
    named(
        "Unicode's line separators in a cell",
        NAMES + "#1,Ann\u2028Lee\u0085,No\n",
        (2, ("#1", "Ann\u2028Lee\u0085", "false")),
    ),
    named(
        "Unicode's line separators in the header",
        "CustomerID,Name\u2028,HasLoan\n#1,Ann,No\n",
        (2, ("#1", "Ann", "false")),
    ),
    without_first("apostrophes for quotes", HEADER + "'#1','1','9500.00','Savings'\n" + B + C, "type"),
    named(
        "apostrophes for quotes in a text",
        NAMES + "#1,'Ann',No\n#2,'Lee, Bo',No\n",
        (2, ("#1", "'Ann'", "false")),
        rejected=((3, "ragged_row"),),
    ),
    named(
        "typographic quotes",
        NAMES + "#1,Ann,No\n#2,“Lee, Bo”,No\n",
        (2, ("#1", "Ann", "false")),
        rejected=((3, "ragged_row"),),
    ),
    named(
        "quotes escaped by backslashes",
        NAMES + '#1,Ann,No\n#2,"Bo \\"B\\" Lee",No\n',
        (2, ("#1", "Ann", "false")),
        rejected=((3, "malformed_quotes"),),
    ),
    named(
        "a separator escaped by a backslash",
        NAMES + "#1,Ann,No\n#2,Lee\\, Bo,No\n",
        (2, ("#1", "Ann", "false")),
        rejected=((3, "ragged_row"),),
    ),
    named(
        "quotes within quotes, not doubled",
        NAMES + '#1,Ann,No\n#2,"Bo "B" Lee",No\n',
        (2, ("#1", "Ann", "false")),
        rejected=((3, "malformed_quotes"),),
    ),
    named(
        "two quoted texts in a cell",
        NAMES + '#1,Ann,No\n#2,"Bo" "Lee",No\n',
        (2, ("#1", "Ann", "false")),
        rejected=((3, "malformed_quotes"),),
    ),
    named(
        "a separator lost before a quoted cell that holds one",
        NAMES + '#1,Ann,No\n#2"Lee, Bo",No\n',
        (2, ("#1", "Ann", "false")),
        rejected=((3, "malformed_quotes"),),
    ),
    named("quotes for inches", NAMES + '#1,5" Ann 10",No\n', (2, ("#1", '5" Ann 10"', "false"))),
    named(
        "a stray quote that swallows the next line",
        NAMES + '#1,"Ann,No\n#2,"Bo",No\n#3,Cy,No\n#4,Di,No\n',
        (4, ("#3", "Cy", "false")),
        (5, ("#4", "Di", "false")),
        rejected=((2, "malformed_quotes"), (3, "malformed_quotes")),
    ),
    named("a quote within a cell without quotes", NAMES + '#1,Ann 5" Lee,No\n', (2, ("#1", 'Ann 5" Lee', "false"))),
    refused("a quote that is never closed", HEADER + '#1,1,"9500.00,Savings\n' + B + C, "unbalanced_quotes", "line 2"),
    named(
        "two stray quotes in two rows",
        NAMES + '#1,"Ann,No\n#2,Bo",No\n#3,Cy,No\n',
        (2, ("#1", "Ann,No\n#2,Bo", "false")),
        (4, ("#3", "Cy", "false")),
    ),
]

LETTERS = [
    read("a byte order mark", "\ufeff" + CLEAN, 2, 3, 4),
    read("two byte order marks", "\ufeff\ufeff" + CLEAN, 2, 3, 4),
    refused("Latin-1", (HEADER + "1,1,9500.00,Sävings\n").encode("latin-1"), "not_utf8"),
    refused("UTF-16", CLEAN.encode("utf-16"), "not_utf8"),
    refused("the end-of-file character of DOS", CLEAN + "\x1a", "control_characters"),
]

CELLS = [
    read("blanks around cells", HEADER + " #1 ,1  ,  9500.00 , Savings \n", 2),
    without_first("a tab before a number", HEADER + "\t" + A + B + C, "type"),
    without_first("a no-break space in a number", HEADER + A.replace("9500", "9\u00a0500") + B + C, "type"),
    without_first("a decimal comma in quotes", HEADER + A.replace("9500.00", '"9500,00"') + B + C, "type"),
    without_first("a decimal comma without quotes", HEADER + A.replace(".", ",") + B + C, "ragged_row"),
    without_first(
        "a decimal comma between semicolons", (HEADER + A + B + C).replace(",", ";").replace("9500.", "9500,"), "type"
    ),
    without_first("a thousands separator", HEADER + A.replace("9500.00", "9'500.00") + B + C, "type"),
    without_first("a currency sign", HEADER + A.replace("9500.00", "€9500.00") + B + C, "type"),
    without_first("the word NULL", HEADER + A.replace("9500.00", "NULL") + B + C, "type"),
    without_first("an error of a spreadsheet", HEADER + A.replace("9500.00", "#REF!") + B + C, "type"),
]

KINDS = [*FILES_AND_TABLES, *SEPARATORS_AND_LINE_ENDS, *QUOTES_AND_ESCAPES, *LETTERS, *CELLS]
