"""A lake that is only read: its zones as schemas of DuckDB (`gold.revenue_by_org_month`), and its state documents.

A table is a view over the files that lie in it now, with the declared columns and types. If a writer replaces one of
them while a query runs, the query is run again with the files that are there then. DuckDB itself refuses to write
anything, and to read a file outside the zones, whatever the query says.
"""

from __future__ import annotations

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
from cloud_analytics.lake.files import FileInfo, LocalFileSystem, ReadableFiles
from cloud_analytics.lake.folder import NO_VALUE, REMEDY_FOR_A_FILE, ZONES, LakeFolder
from cloud_analytics.lake.inventory import changed_for_readers, told
from cloud_analytics.lake.journal import await_commit
from cloud_analytics.lake.uris import no_pattern
from cloud_analytics.reading.tables import declared, figures, is_open, tables

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

logger = logging.getLogger(__name__)

# What DuckDB says of a file without a footer.
_NO_PARQUET = re.compile(r"No magic bytes found at end of file '(.+)'|File '(.+)' too small to be a Parquet file")
# What it says of a value that is none of the type that is expected.
_COLUMN = re.compile(r'(?:casting from source|failed to cast) column "?(\w+)')
REMEDY_FOR_CHANGES = "`cloud-analytics run` builds them again, or says what it cannot build"
_SHOWN = 3  # tables that others changed
_ATTEMPTS = 20  # while writers replace files under a query
_CALM = 3  # attempts that wait for a query during which no file changes
_BATCH = 100_000  # rows
_MOST_ROWS = 1_000_000  # of an answer to a person
_MOST_TEXT = 256 << 20  # characters of such an answer: Python takes a multiple of that
_FETCHED = 100  # rows at once: a text may be long
_PATIENCE = 2.0  # seconds for a query to end that was told to
_PAUSE = 0.02  # seconds by which each pause between attempts is longer than the one before
_TABLE = re.compile(rf'\b({"|".join(ZONES)})"?\s*\.\s*"?(\w+)', re.IGNORECASE)

_READING = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}  # what DuckDB calls parts of a query
_FILE = "_path_of_the_file_"  # a column beside those of the files: no table has it

Found = TypeVar("Found")
Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]


class LakeReader(LakeFolder):
    """A lake that is only read. A table that is absent or empty has its declared columns and no rows.

    DECIMAL stays exact, timestamps are UTC, and partition columns are columns.
    """

    def __init__(self, files: ReadableFiles) -> None:
        super().__init__(files)
        self._turn = threading.RLock()
        self._connection = _connect(files)
        self._shown: dict[str, list[FileInfo]] = {}  # table → the files of which its view is made
        # Whether each file is asked for its columns: they differ in a table that several versions have written.
        self._by_name = False
        self._changed: dict[str, str] | None = None

    def changed(self) -> dict[str, str]:
        """Table → which of its files are not those that the last transaction left, in words.

        It is looked for once, at the first question, and told by a warning.
        """
        if self._changed is None:
            found = changed_for_readers(self.files, lambda table: declared(table) is not None)
            self._changed = {table: told(folders) for table, folders in found.items()}
            if self._changed:
                said = f"others changed {changes(self._changed)}"
                logger.warning(f"{said}: figures may be wrong until {REMEDY_FOR_CHANGES}")
        return self._changed

    def state(self, path: str, default: Any) -> Any:
        """See `LakeFolder`. UsageError where a command was killed while it put its files in place (`await_commit`)."""
        if path not in self._documents:
            await_commit(self.files)
        return super().state(path, default)

    def rows(self, query: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        """The rows of a SELECT as dicts by column name; `?` stands for a parameter, `$name` for one of that name."""
        return self._answer(query, parameters, lambda found: [dict(zip(found.columns, r)) for r in found.fetchall()])

    def row(self, query: str, parameters: Sequence[Any] = ()) -> dict[str, Any]:
        """The one row of an aggregate without groups."""
        (found,) = self.rows(query, parameters)
        return found

    def frame(self, query: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        """The rows of a SELECT for pandas; decimals and dates are Python's own, so that they keep every digit."""
        found: pd.DataFrame = self.arrow(query, parameters).to_pandas()
        return found

    def batches(self, query: str, parameters: Parameters, take: Callable[[pa.RecordBatchReader], Found]) -> Found:
        """Give the rows of a SELECT to `take` in batches of Arrow, and return its result."""
        return self._answer(query, parameters, lambda found: take(found.to_arrow_reader(_BATCH)))

    def arrow(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The rows of a SELECT for what takes Arrow, such as another DuckDB."""
        return self._answer(query, parameters, lambda found: found.to_arrow_table())

    def sql(self, query: str) -> pd.DataFrame:
        """A query as a person writes it: `lake.sql("SELECT * FROM gold.carbon_impact")`.

        UsageError, in one line, for a query that is wrong, and for anything but one SELECT (or SHOW, DESCRIBE).
        """

        def take(cursor: duckdb.DuckDBPyConnection) -> pd.DataFrame:
            found: pd.DataFrame = cursor.sql(query).to_arrow_table().to_pandas()
            return found

        return self._asked(query, take)

    def table(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The answer to such a query as column names and rows; names may be equal. Errors: see `sql`.

        UsageError also where the answer is longer than anybody reads.
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

    def stored(self, table: str) -> dict[str, str]:
        """Column → DuckDB's type, as all files of a table hold them; empty if there is no file.

        duckdb.Error for files whose columns contradict each other.
        """
        await_commit(self.files)
        found = self._listed(table)
        return self._types(table, found) if found else {}

    def _types(self, table: str, found: Sequence[FileInfo]) -> dict[str, str]:
        source = _parquet(table, declared(table), found, by_name=True)
        return {name: kind for name, kind, *_ in self._connection.sql(f"DESCRIBE FROM {source}").fetchall()}

    def _asked(self, query: str, take: Callable[[duckdb.DuckDBPyConnection], Found]) -> Found:
        """What `take` makes of a person's query, on a connection of its own, whose answer need not be read whole."""
        try:
            statements = self._connection.extract_statements(query)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT] or self._writes(query):
                raise UsageError("the lake is only read: give one SELECT")
            with self._connection.cursor() as cursor:
                return _stoppable(lambda: self._answer(query, (), lambda _: take(cursor)), cursor.interrupt)
        except duckdb.Error as error:
            raise UsageError(" ".join(str(error).split("\n\n")[0].split())) from None

    def _writes(self, query: str) -> bool:
        """Whether a SELECT has a part that is more than that: DuckDB 2 takes `WITH x AS (COPY … TO …) SELECT …`."""
        (syntax,) = self._connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()[0]
        parts = set(re.findall(r'"type":"(\w+_NODE)"', syntax))
        return not parts or not parts <= _READING

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
                # If some files were replaced meanwhile, each partition is still whole. That is good enough for a lake
                # that never stands still.
                if attempt >= _CALM or self._is_as(listed):
                    return answer
        raise PipelineError("the lake is written to at every moment: ask again when that is over")

    def _expect_types(self, error: Exception, listed: dict[str, list[FileInfo]]) -> None:
        """PipelineError that names the file and what to do where one holds a column as another type than declared.

        DuckDB names the column alone.
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
        """The files of a table now. The newest comes first, since columns are taken from the first one."""
        return sorted(self.files.files(table), key=lambda info: -info.modified)

    def _is_as(self, listed: dict[str, list[FileInfo]]) -> bool:
        return all(self._listed(table) == found for table, found in listed.items())

    def _show(self, listed: dict[str, list[FileInfo]]) -> None:
        """Create the view of each table over these files, unless it is over them already."""
        for table, found in listed.items():
            if self._shown.get(table) != found:
                self._connection.execute(self._view(table, declared(table), found))
                self._shown[table] = found

    def _view(self, table: str, columns: dict[str, str], found: Sequence[FileInfo]) -> str:
        view = f"CREATE OR REPLACE VIEW {table.replace('/', '.')} AS SELECT"
        if not found:
            return f"{view} {_selected(columns, [])} WHERE false"
        if is_open(table):
            return f"{view} * FROM {_parquet(table, columns, found, by_name=True)}"
        source = _parquet(table, columns, found, self._by_name)
        there = self._connection.sql(f"FROM {source} LIMIT 0").columns
        if not columns.keys() <= set(there):  # these are of the first file: others may have what it lacks
            source = _parquet(table, columns, found, by_name=True)
            there = self._connection.sql(f"FROM {source} LIMIT 0").columns
        selected = f"SELECT {_selected(columns, there)} FROM {source}"
        added = figures(table)
        sums = [
            f"CAST(sum({_name(name)}) AS {kind}) AS {_name(name)}" if name in added else _name(name)
            for name, kind in columns.items()
        ]
        return f"{view} {', '.join(sums)} FROM ({selected})" + (" GROUP BY ALL" if added else "")


def changes(changed: Mapping[str, str]) -> str:
    """The tables that others changed, in words: the first ones with their partitions."""
    shown = [f"{table} ({files})" for table, files in list(changed.items())[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(changed) - _SHOWN} more tables" if len(changed) > _SHOWN else "")


def _stoppable(work: Callable[[], Found], interrupt: Callable[[], None]) -> Found:
    """What `work` returns. It may take for ever, and DuckDB lets no signal through: so a thread of its own does it."""
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
        thread.join(_PATIENCE)  # it ends at once, unless a single function takes long
        raise


def _parquet(table: str, columns: dict[str, str], found: Sequence[FileInfo], by_name: bool) -> str:
    """SQL for these files as one table. `by_name`: each file is asked for its columns, not only the first one.

    Its partition columns are those of the folders below the table. A folder above the lake may be called `date=…`, too,
    so DuckDB does not look for them itself.
    """
    paths = ", ".join(_literal(no_pattern(info.path.removeprefix("file:"))) for info in found)
    options = f"union_by_name = {by_name}, hive_partitioning = false, filename = {_literal(_FILE)}"
    partitions = []
    for folder in found[0].path.rpartition(f"/{table}/")[2].split("/")[:-1]:
        name = folder.partition("=")[0]
        text = f"url_decode(regexp_extract({_name(_FILE)}, {_literal(f'.*/{re.escape(name)}=([^/]*)/')}, 1))"
        value = f"nullif({text}, {_literal(NO_VALUE)})"
        partitions.append(f", CAST({value} AS {columns.get(name, 'VARCHAR')}) AS {_name(name)}")
    return f"(SELECT * EXCLUDE {_name(_FILE)}{''.join(partitions)} FROM read_parquet([{paths}], {options}))"


def _named(query: str) -> list[str]:
    """The tables that a query names; all of them for one that names none (SHOW TABLES)."""
    named = {f"{zone}/{name}".lower() for zone, name in _TABLE.findall(query)}
    return sorted(named.intersection(tables()) if named else tables())


def _selected(columns: dict[str, str], there: Sequence[str]) -> str:
    """SQL for the declared columns in their types; columns that are not `there` are null."""
    return ", ".join(
        f"CAST({_name(name) if name in there else 'NULL'} AS {kind}) AS {_name(name)}" for name, kind in columns.items()
    )


def each_source(select: str, sources: Sequence[str]) -> str:
    """One query over several sources, from a SELECT in which `{source}` stands for the name of a source."""
    return " UNION ALL ".join(select.replace("{source}", source) for source in sources)


def _connect(files: ReadableFiles) -> duckdb.DuckDBPyConnection:
    """DuckDB in memory. It can read these zones, but no other file, no network and no variable of Python."""
    options: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
        "temp_directory": f"{tempfile.gettempdir()}/cloud-analytics-duckdb-{uuid.uuid4().hex}",
    }
    connection = duckdb.connect(config=options)
    # At first it takes 80 % of the memory of the machine, or of its container. Older versions know no percentage.
    most, unit = connection.execute("SELECT current_setting('memory_limit')").fetchall()[0][0].split()
    if not isinstance(files, LocalFileSystem):
        from cloud_analytics.reading.files import as_fsspec

        connection.register_filesystem(as_fsspec(files))
    root = files.root.removeprefix("file://")
    # A path is looked up here twice: as it is given, and as what its pattern finds.
    zones = ", ".join(_literal(f"{name}/{zone}/") for name in {root, no_pattern(root)} for zone in ZONES)
    for statement in (
        "SET GLOBAL TimeZone = 'UTC'",  # global, so that cursors have it too: theirs is that of the machine
        # Half of the memory: what Python makes of an answer, and others, need some as well.
        f"SET memory_limit = '{float(most) * 50 / 80:.3f} {unit}'",
        "SET enable_progress_bar = false",  # in a notebook it would stand among the results
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
    """PipelineError that says what to do where the error tells of a file that was cut short or emptied."""
    found = _NO_PARQUET.search(str(error))
    if found:
        raise PipelineError(f"{found[1] or found[2]} is no Parquet file any more: {REMEDY_FOR_A_FILE}") from None
