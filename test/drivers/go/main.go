// pgx through the gateway. One line per case: `ok NAME` or `not ok NAME: why`.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func open(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, "") }

func must(ok bool, what string) error {
	if !ok {
		return errors.New(what)
	}
	return nil
}

func queries(ctx context.Context, c *pgx.Conn) error {
	for i := 0; i < 10; i++ {
		var n int
		if err := c.QueryRow(ctx, "select $1::int + 1", i).Scan(&n); err != nil {
			return err
		}
		if n != i+1 {
			return fmt.Errorf("%d is not %d", n, i+1)
		}
	}
	if err := c.Ping(ctx); err != nil {
		return err
	}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeCacheDescribe} {
		var s string
		if err := c.QueryRow(ctx, "select $1::text", mode, "x").Scan(&s); err != nil {
			return fmt.Errorf("%v: %w", mode, err)
		}
	}
	_, err := c.Exec(ctx, "select 1/0")
	var pgErr *pgconn.PgError
	return must(errors.As(err, &pgErr) && pgErr.Code == "22012", "no division by zero")
}

func batch(ctx context.Context, c *pgx.Conn) error {
	b := &pgx.Batch{}
	for i := 0; i < 100; i++ {
		b.Queue("select $1::int", i)
	}
	results := c.SendBatch(ctx, b)
	for i := 0; i < 100; i++ {
		var n int
		if err := results.QueryRow().Scan(&n); err != nil {
			return err
		}
		if n != i {
			return fmt.Errorf("%d is not %d", n, i)
		}
	}
	return results.Close()
}

func copyBoth(ctx context.Context, c *pgx.Conn) error {
	if _, err := c.Exec(ctx, "create temp table c (a int, b text)"); err != nil {
		return err
	}
	rows := make([][]any, 1000)
	for i := range rows {
		rows[i] = []any{int32(i), "n"}
	}
	n, err := c.CopyFrom(ctx, pgx.Identifier{"c"}, []string{"a", "b"}, pgx.CopyFromRows(rows))
	if err != nil || n != 1000 {
		return fmt.Errorf("%d rows: %v", n, err)
	}
	var out bytes.Buffer
	if _, err := c.PgConn().CopyTo(ctx, &out, "copy c to stdout"); err != nil {
		return err
	}
	return must(strings.Count(out.String(), "\n") == 1000, "not 1000 rows out")
}

func cancel(ctx context.Context, c *pgx.Conn) error {
	soon, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	_, err := c.Exec(soon, "select count(*) from generate_series(1, 1000000000) as g")
	if err == nil {
		return errors.New("it was not cancelled")
	}
	// pgx gives the connection up then; a cancel on the protocol's own keeps it.
	other, err := open(ctx)
	if err != nil {
		return err
	}
	defer other.Close(ctx)
	go func() {
		time.Sleep(300 * time.Millisecond)
		_ = other.PgConn().CancelRequest(ctx)
	}()
	_, err = other.Exec(ctx, "select count(*) from generate_series(1, 1000000000) as g")
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != "57014" {
		return fmt.Errorf("not cancelled: %v", err)
	}
	return other.Ping(ctx)
}

func listen(ctx context.Context, c *pgx.Conn) error {
	other, err := open(ctx)
	if err != nil {
		return err
	}
	defer other.Close(ctx)
	if _, err := c.Exec(ctx, "listen channel"); err != nil {
		return err
	}
	if _, err := other.Exec(ctx, "notify channel, 'hello'"); err != nil {
		return err
	}
	soon, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	notice, err := c.WaitForNotification(soon)
	if err != nil {
		return err
	}
	return must(notice.Payload == "hello" && notice.PID == other.PgConn().PID(), "another notice")
}

func large(ctx context.Context, c *pgx.Conn) error {
	value := strings.Repeat("x", 20_000_000)
	var back string
	if err := c.QueryRow(ctx, "select $1::text", value).Scan(&back); err != nil {
		return err
	}
	return must(back == value, "another value")
}

func main() {
	ctx := context.Background()
	failed := false
	for _, one := range []struct {
		name string
		run  func(context.Context, *pgx.Conn) error
	}{{"queries", queries}, {"batch", batch}, {"copy", copyBoth}, {"cancel", cancel}, {"listen", listen}, {"large", large}} {
		c, err := open(ctx)
		if err == nil {
			err = one.run(ctx, c)
			_ = c.Close(ctx)
		}
		if err != nil {
			failed = true
			fmt.Printf("not ok pgx_%s: %s\n", one.name, strings.ReplaceAll(err.Error(), "\n", " | "))
		} else {
			fmt.Printf("ok pgx_%s\n", one.name)
		}
	}
	if failed {
		os.Exit(1)
	}
}
