"""psycopg 3 and asyncpg through the gateway. One line per case: `ok NAME` or `not ok NAME: why`."""

import asyncio
import os
import ssl
import sys
import threading
import time

import asyncpg
import psycopg

HOST = dict(host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]))
USER = dict(user=os.environ["PGUSER"], password=os.environ["PGPASSWORD"])
DATABASE = os.environ["PGDATABASE"]
LARGE = int(os.environ.get("GW_LARGE_BYTES", "20000000"))
SLOW = "select count(*) from generate_series(1, 1000000000) as g"


def connect(**more):
    return psycopg.connect(dbname=DATABASE, **HOST, **USER, **{"sslmode": "require", **more})


def psycopg_tls_modes():
    for mode in ("disable", "prefer", "require"):
        with connect(sslmode=mode) as conn:
            assert conn.pgconn.ssl_in_use == (mode != "disable")
            assert conn.execute("select 1").fetchone() == (1,)


def psycopg_prepared():
    with connect() as conn:
        for i in range(12):
            assert conn.execute("select %s::int + 1, %s::text", (i, "x")).fetchone() == (i + 1, "x")
        assert conn.execute("select %b::int", (7,)).fetchone() == (7,)


def psycopg_pipeline():
    with connect(autocommit=True) as conn:
        with conn.pipeline():
            cursors = [conn.execute("select %s::int", (i,)) for i in range(100)]
        assert [c.fetchone()[0] for c in cursors] == list(range(100))
        try:
            with conn.pipeline() as pipeline:
                first = conn.execute("select 1")
                pipeline.sync()
                conn.execute("select 1/0")
                conn.execute("select 2")
        except psycopg.errors.DivisionByZero:
            pass
        else:
            raise AssertionError("the pipeline did not fail")
        assert first.fetchone() == (1,)
        assert conn.execute("select 3").fetchone() == (3,)


def psycopg_copy():
    with connect() as conn:
        conn.execute("create temp table c (a int, b text)")
        for how in ("", " with (format csv)"):
            with conn.cursor().copy("copy c from stdin" + how) as copy:
                copy.write("1,one\n" if how else "1\tone\n")
        with conn.cursor().copy("copy c (a, b) from stdin (format binary)") as copy:
            copy.set_types(["int4", "text"])
            for i in range(1000):
                copy.write_row((i, "n" * i))
        with conn.cursor().copy("copy c to stdout") as copy:
            assert sum(1 for _ in copy.rows()) == 1002
        with conn.cursor().copy("copy (select 1::int4, 'x'::text) to stdout (format binary)") as copy:
            copy.set_types(["int4", "text"])
            assert list(copy.rows()) == [(1, "x")]


def psycopg_cancel():
    with connect() as conn:
        threading.Timer(0.3, conn.cancel_safe).start()
        try:
            conn.execute(SLOW)
        except psycopg.errors.QueryCanceled:
            conn.rollback()
        else:
            raise AssertionError("it was not cancelled")
        assert conn.execute("select 1").fetchone() == (1,)


def psycopg_listen():
    with connect(autocommit=True) as conn, connect(autocommit=True) as other:
        conn.execute("listen channel")
        other.execute("notify channel, 'hello'")
        notice = next(conn.notifies(timeout=5))
        assert (notice.channel, notice.payload) == ("channel", "hello")
        assert notice.pid == other.info.backend_pid


def psycopg_large():
    with connect() as conn:
        value = b"x" * LARGE
        assert conn.execute("select %s::bytea, length(%s::bytea)", (value, value)).fetchone() == (value, len(value))
        with conn.cursor("named") as cursor:
            cursor.itersize = 500
            assert sum(1 for _ in cursor.execute("select g from generate_series(1, 5000) g")) == 5000


def psycopg_errors():
    with connect() as conn:
        try:
            conn.execute("select * from missing")
        except psycopg.errors.UndefinedTable:
            conn.rollback()
        with conn.transaction():
            try:
                with conn.transaction():
                    conn.execute("select 1/0")
            except psycopg.errors.DivisionByZero:
                pass
            assert conn.execute("select 1").fetchone() == (1,)


async def open_asyncpg(tls=True):
    context = False
    if tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return await asyncpg.connect(database=DATABASE, **HOST, **USER, ssl=context)


async def asyncpg_queries():
    for tls in (True, False):
        conn = await open_asyncpg(tls)
        assert await conn.fetchval("select $1::int + 1", 41) == 42
        statement = await conn.prepare("select $1::int[] as a, $2::jsonb as b, $3::timestamptz as c")
        row = await statement.fetchrow([1, 2], '{"x": 1}', None)
        assert (row["a"], row["c"]) == ([1, 2], None)
        await conn.executemany("select $1::int", [(i,) for i in range(50)])
        async with conn.transaction():
            rows = [r async for r in conn.cursor("select g from generate_series(1, 300) g")]
        assert len(rows) == 300
        await conn.close()


async def asyncpg_types():
    conn = await open_asyncpg()
    row = await conn.fetchrow("select mood, pair, int4range(1, 5) as r from typed")
    assert (row["mood"], tuple(row["pair"]), row["r"].lower) == ("good", (1, "one"), 1)
    await conn.close()


async def asyncpg_copy():
    conn = await open_asyncpg()
    await conn.execute("create temp table c (a int, b text)")
    await conn.copy_records_to_table("c", records=[(i, "n") for i in range(1000)])
    chunks = []

    async def take(chunk):
        chunks.append(chunk)

    await conn.copy_from_query("select a from c order by a", output=take)
    assert b"".join(chunks).count(b"\n") == 1000
    await conn.close()


async def asyncpg_cancel():
    conn = await open_asyncpg()
    try:
        await conn.fetchval(SLOW, timeout=0.3)
    except (asyncio.TimeoutError, TimeoutError):
        pass
    else:
        raise AssertionError("it was not cancelled")
    assert await conn.fetchval("select 1") == 1
    await conn.close()


async def asyncpg_listen():
    conn, other = await open_asyncpg(), await open_asyncpg()
    heard = asyncio.get_running_loop().create_future()
    await conn.add_listener("channel", lambda *a: heard.set_result(a[3]))
    await other.execute("notify channel, 'hello'")
    assert await asyncio.wait_for(heard, 5) == "hello"
    await conn.close()
    await other.close()


async def asyncpg_large():
    conn = await open_asyncpg()
    value = "x" * LARGE
    assert await conn.fetchval("select $1::text", value) == value
    assert len(await conn.fetch("select g, repeat('x', 100) from generate_series(1, 50000) g")) == 50000
    await conn.close()


def main():
    failed = 0
    cases = [f for n, f in list(globals().items()) if n.startswith(("psycopg_", "asyncpg_")) and callable(f)]
    for case in cases:
        started = time.monotonic()
        try:
            if asyncio.iscoroutinefunction(case):
                asyncio.run(case())
            else:
                case()
            print(f"ok {case.__name__} ({time.monotonic() - started:.2f} s)", flush=True)
        except Exception as error:  # every case is told of, whatever it died of
            failed += 1
            print(f"not ok {case.__name__}: {type(error).__name__}: {error}".replace("\n", " | "), flush=True)
    sys.exit(1 if failed else 0)


main()
