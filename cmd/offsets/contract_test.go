package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"offsets/inspect"
	"offsets/internal/demo"
	"offsets/internal/render"
	"offsets/produce"
	"offsets/reset"
)

// documents are the JSON outputs, by command: the type of a row under the
// field that holds the rows, and what follows them. A command that prints one
// object a line has no field.
func documents() map[string]document {
	return map[string]document{
		"list":     {"groups", reflect.TypeFor[inspect.ListedGroup](), reflect.TypeFor[listTail]()},
		"describe": {"groups", reflect.TypeFor[inspect.Group](), reflect.TypeFor[describeTail]()},
		"produce":  {"partitions", reflect.TypeFor[produce.PartitionSummary](), reflect.TypeFor[produceTail]()},
		"consume":  {"", reflect.TypeFor[consumeRow](), nil},
		"decode":   {"", reflect.TypeFor[inspect.LogRecord](), nil},
		"state":    {"groups", reflect.TypeFor[inspect.StateGroup](), reflect.TypeFor[stateTail]()},
		"history":  {"events", reflect.TypeFor[inspect.Event](), reflect.TypeFor[historyTail]()},
		"policy":   {"groups", reflect.TypeFor[inspect.PolicyGroup](), reflect.TypeFor[describeTail]()},
		"reset":    {"groups", reflect.TypeFor[reset.Plan](), nil},
		"check":    {"groups", reflect.TypeFor[inspect.Verdict](), reflect.TypeFor[checkTail]()},
		"watch":    {"", reflect.TypeFor[watched](), nil},
		"export":   {"groups", reflect.TypeFor[reset.ExportedGroup](), reflect.TypeFor[exportTail]()},
		"receipts": {"receipts", reflect.TypeFor[receiptRow](), reflect.TypeFor[receiptsTail]()},
		"config":   {"settings", reflect.TypeFor[setting](), reflect.TypeFor[configTail]()},
		"demo":     {"scenes", reflect.TypeFor[demo.Scene](), nil},
		"error": {"", reflect.TypeFor[struct {
			Error diagnosis `json:"error"`
		}](), nil},
	}
}

type document struct {
	rows string
	row  reflect.Type
	tail reflect.Type
}

// fields lists path and type of everything in a document.
func (d document) fields() map[string]string {
	out := map[string]string{}
	prefix := ""
	if d.rows != "" {
		out[d.rows] = "array"
		prefix = d.rows + "[]"
	}
	walk(out, prefix, d.row)
	if d.tail != nil {
		walk(out, "", d.tail)
	}
	return out
}

func walk(out map[string]string, path string, t reflect.Type) {
	null := ""
	if t.Kind() == reflect.Pointer {
		t, null = t.Elem(), "|null"
	}
	kind := map[reflect.Kind]string{
		reflect.String: "string", reflect.Bool: "boolean", reflect.Float64: "number", reflect.Interface: "any", reflect.Map: "object",
		reflect.Int: "integer", reflect.Int16: "integer", reflect.Int32: "integer", reflect.Int64: "integer",
	}[t.Kind()]
	switch {
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		kind = "base64"
	case t.Kind() == reflect.Slice:
		out[path] = "array" + null
		walk(out, path+"[]", t.Elem())
		return
	case t.Kind() == reflect.Struct:
		if path != "" {
			out[path] = "object" + null
		}
		for i := range t.NumField() {
			f := t.Field(i)
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous && tag == "":
				walk(out, path, f.Type)
			case tag != "" && tag != "-":
				walk(out, strings.TrimPrefix(path+"."+tag, "."), f.Type)
			}
		}
		return
	}
	if kind == "" {
		panic(fmt.Sprintf("%s: no JSON type for %s", path, t))
	}
	out[path] = kind + null
}

const contractFile = "contract.json"

func readContract(t interface{ Fatalf(string, ...any) }) map[string]map[string]string {
	b, err := os.ReadFile(contractFile)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var c map[string]map[string]string
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatalf("%s: %v", contractFile, err)
	}
	return c
}

// TestContract: scripts of users rely on every field that was ever printed.
// Fields may be added (OFFSETS_UPDATE_CONTRACT=1 writes them down), never
// removed or changed.
func TestContract(t *testing.T) {
	got := map[string]map[string]string{}
	for name, d := range documents() {
		got[name] = d.fields()
	}
	got[csvContract] = csvHeaders(t)
	got["codes"] = map[string]string{} // of reasons and errors: a closed set of words
	for _, code := range reset.Codes() {
		got["codes"][string(code)] = "code"
	}
	if os.Getenv("OFFSETS_UPDATE_CONTRACT") != "" {
		if _, err := os.Stat(contractFile); err == nil {
			pinned(t, readContract(t), got)
		}
		b, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(contractFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := readContract(t)
	pinned(t, want, got)
	for name, fields := range got {
		for path := range fields {
			if _, ok := want[name][path]; !ok || name == csvContract && want[name][path] != fields[path] {
				t.Errorf("%s: new field %s is not in %s: run with OFFSETS_UPDATE_CONTRACT=1", name, path, contractFile)
			}
		}
	}
}

// csvContract is where the contract has the headers, by command.
const csvContract = "csv"

// csvHeaders is what each view writes as CSV when it has no rows: its header.
// The script csv-headers holds what the commands print against them.
func csvHeaders(t *testing.T) map[string]string {
	noChange := func() time.Time { return time.Time{} }
	nothing := &inspect.Description{Groups: rowsOf[inspect.Group](nil)}
	return map[string]string{
		"list":               csvHeader(t, listView(&inspect.Listing{})),
		"describe":           csvHeader(t, describeView(nothing, noChange, nil)),
		"describe --members": csvHeader(t, membersView(nothing)),
		"describe --state":   csvHeader(t, stateView(nothing)),
		"describe --watch":   csvHeader(t, (&watcher{}).view(time.Time{}, nil)),
		"check":              csvHeader(t, verdictsView(&findings{}, checkOptions{})),
		"reset":              csvHeader(t, plansView(nil, false)),
		"undo --list":        csvHeader(t, receiptsView(nil, "")),
		"decode":             csvHeader(t, decodeView(rowsOf[inspect.LogRecord](nil))),
		"decode --state":     csvHeader(t, stateOfLogView(&inspect.LogState{}, decodeOptions{})),
		"history":            csvHeader(t, historyView(&inspect.History{}, historyOptions{}, rowsOf[inspect.Event](nil))),
		"policy":             csvHeader(t, policyView(nothing, rowsOf[inspect.PolicyGroup](nil))),
		"produce":            csvHeader(t, produceView(produce.Summary{})),
		"consume":            csvHeader(t, consumeView(rowsOf[consumeRow](nil))),
		"config":             csvHeader(t, configView(nil, configTail{})),
		"demo":               csvHeader(t, demoView(rowsOf[demo.Scene](nil))),
	}
}

func csvHeader[R, L any](t *testing.T, view render.Result[R, L]) string {
	t.Helper()
	var b bytes.Buffer
	if err := render.Write(&b, render.CSV, view); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// cmdCSVHeader checks the first line of a real output.
func cmdCSVHeader(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: csv-header COMMAND FILE")
	}
	want, ok := readContract(ts)[csvContract][args[0]]
	if got, _, _ := strings.Cut(ts.ReadFile(args[1]), "\n"); !ok || got != want {
		ts.Fatalf("%s: header %q, the contract says %q", args[0], got, want)
	}
}

// TestCodesAreDocumented: who gets a code finds it explained.
func TestCodesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/output.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range reset.Codes() {
		if !strings.Contains(string(doc), "| `"+string(code)+"` |") {
			t.Errorf("docs/output.md does not have the code %s", code)
		}
	}
}

func pinned(t *testing.T, want, got map[string]map[string]string) {
	for name, fields := range want {
		for path, typ := range fields {
			if now := got[name][path]; name == csvContract && strings.HasPrefix(now+",", typ+",") {
				continue // columns may be added at the end
			}
			if got[name][path] != typ {
				t.Errorf("%s: field %s is %q, the contract says %q", name, path, got[name][path], typ)
			}
		}
	}
}

// cmdContract checks a real output: no field beyond the contract, each of its
// type, and none left out.
func cmdContract(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: contract COMMAND FILE")
	}
	fields, ok := documents()[args[0]]
	if !ok {
		ts.Fatalf("no contract for %s", args[0])
	}
	want := fields.fields()
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(args[1])))
	dec.UseNumber()
	for dec.More() {
		var v any
		ts.Check(dec.Decode(&v))
		for _, fault := range conforms(want, "", v) {
			ts.Fatalf("%s: %s", args[0], fault)
		}
	}
}

func conforms(want map[string]string, path string, v any) []string {
	var faults []string
	typ := strings.Split(want[path], "|")
	is := func(kinds ...string) {
		if path != "" && !slices.ContainsFunc(kinds, func(k string) bool { return slices.Contains(typ, k) }) && typ[0] != "any" {
			faults = append(faults, fmt.Sprintf("%s is %v, want %s", path, v, want[path]))
		}
	}
	switch v := v.(type) {
	case nil:
		is("null", "base64")
	case bool:
		is("boolean")
	case string:
		is("string", "base64")
		if strings.HasSuffix(path, "[].code") && !slices.Contains(reset.Codes(), inspect.Code(v)) {
			faults = append(faults, fmt.Sprintf("%s: %q is no known code", path, v))
		}
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			is("number")
		} else {
			is("integer", "number")
		}
	case []any:
		is("array")
		for _, e := range v {
			faults = append(faults, conforms(want, path+"[]", e)...)
		}
	case map[string]any:
		is("object")
		if typ[0] == "any" {
			return faults
		}
		for name, e := range v {
			child := strings.TrimPrefix(path+"."+name, ".")
			if _, ok := want[child]; !ok {
				faults = append(faults, fmt.Sprintf("%s is not in the contract", child))
				continue
			}
			faults = append(faults, conforms(want, child, e)...)
		}
		for child := range want {
			parent, name := "", child
			if i := strings.LastIndex(child, "."); i >= 0 {
				parent, name = child[:i], child[i+1:]
			}
			if _, present := v[name]; parent == path && !present && !strings.HasSuffix(name, "[]") {
				faults = append(faults, fmt.Sprintf("%s is left out", child))
			}
		}
	}
	return faults
}
