"""Read a lake: its zones as schemas of DuckDB (`gold.revenue_by_org_month`), and its state documents.

Each table is a view over its present files, with the declared columns and types. If a writer replaces one of these
files while a query runs, the reader runs the query again over the new files. DuckDB opens no file outside the zones,
whatever the query says. It could write within the zones, so the reader accepts only one SELECT from a person, and in it
only table functions that are known to read.
"""

from __future__ import annotations

import glob
import logging
import re
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import duckdb

from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.lake.file_system import FileInfo, ReadableFiles
from cloud_analytics.lake.files import LocalFileSystem
from cloud_analytics.lake.folder import NO_VALUE, REMEDY_FOR_A_FILE, ZONES, LakeFolder
from cloud_analytics.lake.inventory import changed_for_readers, told
from cloud_analytics.lake.journal import await_commit
from cloud_analytics.reading.tables import declared, tables

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

logger = logging.getLogger(__name__)

# DuckDB's messages about a file without a Parquet footer.
_NO_PARQUET = re.compile(r"No magic bytes found at end of file '(.+)'|File '(.+)' too small to be a Parquet file")
# DuckDB's messages about a value that cannot be cast to the expected type.
_COLUMN = re.compile(r'(?:casting from source|failed to cast) column "?(\w+)')
REMEDY_FOR_CHANGES = "`cloud-analytics run` builds them again, or says what it cannot build"
_SHOWN = 3  # changed tables that a message names
_ATTEMPTS = 20  # runs of one query while writers replace its files
_CALM = 3  # first attempts, which accept an answer only if no file changed during the query
_BATCH = 100_000  # rows of an Arrow record batch
_MOST_ROWS = 1_000_000  # of the answer to a person's query
_MOST_TEXT = 256 << 20  # characters of such an answer: Python needs a multiple of that in bytes
_FETCHED = 100  # rows per fetch; few, because a text may be long
_PATIENCE = 2.0  # seconds to wait for the end of an interrupted query
_PAUSE = 0.02  # seconds by which each pause between attempts is longer than the previous one
_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_TOO_LARGE = "the answer takes too much memory: narrow it by WHERE, GROUP BY or LIMIT"
_TABLE = re.compile(rf'\b({"|".join(ZONES)})"?\s*\.\s*"?(\w+)', re.IGNORECASE)

_READING = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}  # DuckDB's names of query parts
# The table functions for a person. Others run a text that no check sees (`query`, `json_execute_serialized_sql`), call
# another function by its name (`destroy_external_resource`) or read a table whose name is computed (`query_table`).
_FOR_PEOPLE = re.compile(
    r"duckdb_\w+|parquet_\w+|read_(?:blob|csv|json|ndjson|parquet|text)\w*|glob|sniff_csv"
    r"|range|generate_series|repeat|repeat_row|unnest|json_each|json_tree|histogram|histogram_values"
)
_TABLE_FUNCTIONS = "SELECT lower(function_name) FROM duckdb_functions() WHERE function_type IN ('table', 'table_macro')"
_ONE_SELECT = "the lake is only read: give one SELECT"
_FILE = "_path_of_the_file_"  # helper column with the path of the file; no table has a column of this name

Found = TypeVar("Found")
Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]


class LakeReader(LakeFolder):
    """A read-only lake. A missing or empty table has its declared columns and no rows.

    DECIMAL values stay exact, timestamps are in UTC, and partition columns are ordinary columns.
    """

    def __init__(self, files: ReadableFiles) -> None:
        super().__init__(files)
        self._turn = threading.RLock()
        self._connection = _connect(files)
        self._shown: dict[str, list[FileInfo]] = {}  # table → the files that its view reads
        # Whether DuckDB looks at the columns of each file: they differ if several versions wrote a table.
        self._by_name = False
        self._changed: dict[str, str] | None = None

    def changed(self) -> dict[str, str]:
        """Table → a description of the files that somebody changed after the last transaction.

        The first call (or the first query) compares the files and logs a warning; later calls return the same result.
        """
        if self._changed is None:
            found = changed_for_readers(self.files)
            self._changed = {table: told(folders) for table, folders in found.items()}
            if self._changed:
                said = f"others changed {changes(self._changed)}"
                logger.warning(f"{said}: figures may be wrong until {REMEDY_FOR_CHANGES}")
        return self._changed

    def text(self, path: str) -> str | None:
        """See `LakeFolder.text`. Waits for the end of a commit; UsageError if it does not end (`await_commit`)."""
        await_commit(self.files)
        return super().text(path)

    def rows(self, query: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        """The rows of a SELECT as dicts by column name; `?` is a positional parameter, `$name` a named one."""
        return self._answer(query, parameters, lambda found: [dict(zip(found.columns, r)) for r in found.fetchall()])

    def row(self, query: str, parameters: Sequence[Any] = ()) -> dict[str, Any]:
        """The one row of an aggregate without groups."""
        (found,) = self.rows(query, parameters)
        return found

    def frame(self, query: str) -> pd.DataFrame:
        """The rows of a SELECT for pandas. Decimals and dates are Python objects, so they keep every digit."""
        found: pd.DataFrame = self.arrow(query).to_pandas()
        return found

    def batches(self, query: str, parameters: Parameters, take: Callable[[pa.RecordBatchReader], Found]) -> Found:
        """Pass the rows of a SELECT to `take` as Arrow record batches, and return the result of `take`."""
        return self._answer(query, parameters, lambda found: take(found.to_arrow_reader(_BATCH)))

    def arrow(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The rows of a SELECT as an Arrow table, for example for another DuckDB connection."""
        return self._answer(query, parameters, lambda found: found.to_arrow_table())

    def sql(self, query: str) -> pd.DataFrame:
        """Run a query that a person wrote: `lake.sql("SELECT * FROM gold.carbon_impact")`.

        UsageError with a message of one line if the query is wrong, or is not exactly one SELECT (or SHOW, DESCRIBE).
        """

        def take(cursor: duckdb.DuckDBPyConnection) -> pd.DataFrame:
            found: pd.DataFrame = cursor.sql(query).to_arrow_table().to_pandas()
            return found

        return self._asked(query, take)

    def table(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The answer to a person's query as column names and rows; two columns may have the same name.

        Errors: see `sql`; and UsageError if the answer has more rows or characters than the limits of this module.
        """

        def take(cursor: duckdb.DuckDBPyConnection) -> tuple[list[str], list[tuple[Any, ...]]]:
            columns = [name for name, *_ in cursor.execute(query).description]
            rows: list[tuple[Any, ...]] = []
            length = 0
            while fetched := cursor.fetchmany(_FETCHED):
                rows += fetched
                length += sum(len(value) for row in fetched for value in row if isinstance(value, str | bytes))
                for found, most, what in ((len(rows), _MOST_ROWS, "rows"), (length, _MOST_TEXT, "characters")):
                    if found > most:
                        raise UsageError(
                            f"the answer has more than {most:,} {what}: narrow it by WHERE, GROUP BY or LIMIT"
                        )
            return columns, rows

        return self._asked(query, take)

    def memory_limit(self) -> int:
        """The bytes that DuckDB takes at most: half of the memory of this machine or container."""
        most, unit = self._connection.execute("SELECT current_setting('memory_limit')").fetchall()[0][0].split()
        return int(float(most) * _UNITS[unit])

    def stored(self, table: str) -> dict[str, str]:
        """Column → DuckDB's type, over all files of a table; empty if the table has no file.

        duckdb.Error if files hold the same column in types that contradict each other.
        """
        await_commit(self.files)
        found = self._listed(table)
        return self._types(table, found) if found else {}

    def _types(self, table: str, found: Sequence[FileInfo]) -> dict[str, str]:
        source = _parquet(table, declared(table), found, by_name=True)
        return {name: kind for name, kind, *_ in self._connection.sql(f"DESCRIBE FROM {source}").fetchall()}

    def _asked(self, query: str, take: Callable[[duckdb.DuckDBPyConnection], Found]) -> Found:
        """Run a person's query on a separate cursor and return the result of `take`, which need not fetch all rows."""
        try:
            self._expect_only_reads(query)
            with self._connection.cursor() as cursor:
                return _stoppable(lambda: self._answer(query, (), lambda _: take(cursor)), cursor.interrupt)
        except (duckdb.OutOfMemoryException, MemoryError):
            raise UsageError(_TOO_LARGE) from None
        except duckdb.Error as error:
            raise UsageError(" ".join(str(error).split("\n\n")[0].split())) from None

    def _expect_only_reads(self, query: str) -> None:
        """UsageError if a query is not one SELECT, or has a part that may write.

        DuckDB 2 accepts `WITH x AS (COPY … TO …) SELECT …`.
        """
        statements = self._connection.extract_statements(query)
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise UsageError(_ONE_SELECT)
        (syntax,) = self._connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()[0]
        parts = set(re.findall(r'"type":"(\w+_NODE)"', syntax))
        if not parts or not parts <= _READING:
            raise UsageError(_ONE_SELECT)
        named = {name.lower() for name in re.findall(r'"function_name":"(\w+)"', syntax)}
        for (function,) in self._connection.execute(_TABLE_FUNCTIONS).fetchall() if named else ():
            if function in named and not _FOR_PEOPLE.fullmatch(function):
                raise UsageError(f"the lake is only read: the table function {function} may do more")

    def _answer(self, query: str, parameters: Parameters, take: Callable[[Any], Found]) -> Found:
        with self._turn:
            self.changed()
            for attempt in range(_ATTEMPTS):
                time.sleep(attempt * _PAUSE)
                await_commit(self.files)
                listed = {table: self._listed(table) for table in _named(query)}
                try:
                    self._show(listed)
                    answer = take(self._connection.sql(query, params=parameters))
                except duckdb.InterruptException:
                    raise
                except (duckdb.Error, FileNotFoundError) as error:
                    if self._is_as(listed):
                        _expect_parquet(error)
                        if self._by_name:
                            self._expect_types(error, listed)
                            raise
                        self._by_name, self._shown = True, {}
                    continue
                # If a writer replaced some files during the query, each partition is still consistent in itself. That
                # is good enough for a lake that writers change all the time.
                if attempt >= _CALM or self._is_as(listed):
                    return answer
        raise PipelineError("the lake is written to at every moment: ask again when that is over")

    def _expect_types(self, error: Exception, listed: dict[str, list[FileInfo]]) -> None:
        """PipelineError if a file holds a column in another type than the declared one, with the file and the remedy.

        DuckDB's own message names only the column.
        """
        named = _COLUMN.search(str(error))
        column = named[1] if named else ""
        for table, found in listed.items():
            expected = declared(table).get(column)
            for info in found if expected is not None else ():
                kind = self._types(table, [info]).get(column, expected)
                if kind != expected:
                    path = info.path.removeprefix("file:")
                    raise PipelineError(f"{path} holds {column} as {kind}, not as {expected}: {REMEDY_FOR_A_FILE}")

    def _listed(self, table: str) -> list[FileInfo]:
        """The present files of a table, the newest first, because DuckDB takes the columns from the first file."""
        return sorted(self.files.files(table), key=lambda info: -info.modified)

    def _is_as(self, listed: dict[str, list[FileInfo]]) -> bool:
        return all(self._listed(table) == found for table, found in listed.items())

    def _show(self, listed: dict[str, list[FileInfo]]) -> None:
        """Create the view of each table over these files, unless the present view already reads them."""
        for table, found in listed.items():
            if self._shown.get(table) != found:
                self._connection.execute(self._view(table, declared(table), found))
                self._shown[table] = found

    def _view(self, table: str, columns: dict[str, str], found: Sequence[FileInfo]) -> str:
        view = f"CREATE OR REPLACE VIEW {table.replace('/', '.')} AS SELECT"
        if not found:
            return f"{view} {_selected(columns, [])} WHERE false"
        declaration = tables()[table]
        if declaration.more_columns:
            return f"{view} * FROM {_parquet(table, columns, found, by_name=True)}"
        source = _parquet(table, columns, found, self._by_name)
        there = self._connection.sql(f"FROM {source} LIMIT 0").columns
        if not columns.keys() <= set(there):  # only those of the first file; other files may have more
            source = _parquet(table, columns, found, by_name=True)
            there = self._connection.sql(f"FROM {source} LIMIT 0").columns
        selected = f"SELECT {_selected(columns, there)} FROM {source}"
        added = {column.name for column in declaration.figures} if declaration.in_parts else set()
        sums = [
            f"CAST(sum({_name(name)}) AS {kind}) AS {_name(name)}" if name in added else _name(name)
            for name, kind in columns.items()
        ]
        return f"{view} {', '.join(sums)} FROM ({selected})" + (" GROUP BY ALL" if added else "")


def changes(changed: Mapping[str, str]) -> str:
    """Describe the tables that others changed: the first three with their partitions, then the number of the rest."""
    shown = [f"{table} ({files})" for table, files in list(changed.items())[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(changed) - _SHOWN} more tables" if len(changed) > _SHOWN else "")


def _stoppable(work: Callable[[], Found], interrupt: Callable[[], None]) -> Found:
    """Run `work` in a thread and return its result, so that a signal can interrupt it: DuckDB lets none through."""
    answer: Future[Found] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        return answer.result()
    except (KeyboardInterrupt, SystemExit):
        interrupt()
        thread.join(_PATIENCE)  # the query ends at once, unless a single function takes long
        raise


def _parquet(table: str, columns: dict[str, str], found: Sequence[FileInfo], by_name: bool) -> str:
    """SQL that reads these files as one table. `by_name`: DuckDB looks at the columns of each file, not only the first.

    The partition columns come from the folders below the table. DuckDB's own search for partition columns is off,
    because a folder above the lake may be called `date=…`, too. Paths are escaped, because DuckDB would also read other
    files that match them as patterns.
    """
    paths = ", ".join(_literal(glob.escape(info.path.removeprefix("file:"))) for info in found)
    options = f"union_by_name = {by_name}, hive_partitioning = false, filename = {_literal(_FILE)}"
    partitions = []
    for folder in found[0].path.rpartition(f"/{table}/")[2].split("/")[:-1]:
        name = folder.partition("=")[0]
        text = f"url_decode(regexp_extract({_name(_FILE)}, {_literal(f'.*/{re.escape(name)}=([^/]*)/')}, 1))"
        value = f"nullif({text}, {_literal(NO_VALUE)})"
        partitions.append(f", CAST({value} AS {columns.get(name, 'VARCHAR')}) AS {_name(name)}")
    return f"(SELECT * EXCLUDE {_name(_FILE)}{''.join(partitions)} FROM read_parquet([{paths}], {options}))"


def _named(query: str) -> list[str]:
    """The tables that a query names; all tables if the query names none (SHOW TABLES)."""
    named = {f"{zone}/{name}".lower() for zone, name in _TABLE.findall(query)}
    return sorted(named.intersection(tables()) if named else tables())


def _selected(columns: dict[str, str], there: Sequence[str]) -> str:
    """SQL for the declared columns in their types; a column that is missing in `there` is null."""
    return ", ".join(
        f"CAST({_name(name) if name in there else 'NULL'} AS {kind}) AS {_name(name)}" for name, kind in columns.items()
    )


def each_source(select: str, sources: Sequence[str]) -> str:
    """One query over several sources, from a SELECT in which `{source}` stands for the name of a source."""
    return " UNION ALL ".join(select.replace("{source}", source) for source in sources)


def _connect(files: ReadableFiles) -> duckdb.DuckDBPyConnection:
    """DuckDB in memory, with access to the files of the zones only: no other file, no network, no Python variable."""
    options: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
        "temp_directory": f"{tempfile.gettempdir()}/cloud-analytics-duckdb-{uuid.uuid4().hex}",
    }
    connection = duckdb.connect(config=options)
    # DuckDB's default is 80 % of the memory of the machine or its container. Older versions accept no percentage.
    most, unit = connection.execute("SELECT current_setting('memory_limit')").fetchall()[0][0].split()
    if not isinstance(files, LocalFileSystem):
        from cloud_analytics.reading.files import as_fsspec

        connection.register_filesystem(as_fsspec(files))
    root = files.root.removeprefix("file://")
    # DuckDB checks a path twice against these folders: as the query gives it, and as its pattern finds it.
    zones = ", ".join(_literal(f"{name}/{zone}/") for name in {root, glob.escape(root)} for zone in ZONES)
    for statement in (
        "SET GLOBAL TimeZone = 'UTC'",  # global, because cursors would otherwise have the time zone of the machine
        # Half of the memory, because Python's copy of an answer and other processes need memory as well.
        f"SET memory_limit = '{float(most) * 50 / 80:.3f} {unit}'",
        "SET enable_progress_bar = false",  # in a notebook it would appear among the results
        *(f"CREATE SCHEMA {zone}" for zone in ZONES),
        f"SET allowed_directories = [{zones}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement)
    return connection


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _expect_parquet(error: Exception) -> None:
    """PipelineError with the remedy if DuckDB's error is about a file that was truncated or emptied."""
    found = _NO_PARQUET.search(str(error))
    if found:
        raise PipelineError(f"{found[1] or found[2]} is no Parquet file any more: {REMEDY_FOR_A_FILE}") from None
