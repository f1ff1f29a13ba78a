// Reads dashboards as strictly as Grafana's own schema allows: a field that is unknown or missing, in a panel's options or in
// a query too, is an error. It is another implementation than the one that has written them (grafana/src is Python).
//
//	schema FILE…
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	failed := false
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Fprintf(os.Stderr, "dashboards: %s: %v\n", path, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

func check(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var board dashboard.Dashboard
	if err := board.UnmarshalJSONStrict(content); !isNone(err) {
		return err
	}
	if err := board.Validate(); !isNone(err) {
		return err
	}
	return nil
}

// The library returns a list of errors even where the list is empty.
func isNone(err error) bool {
	var list cog.BuildErrors
	return err == nil || errors.As(err, &list) && len(list) == 0
}
